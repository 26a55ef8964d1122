//! Where a field stands in a record: a JSON Pointer (RFC 6901) with `*` for every element of a list.

use super::tree::{Kind, Tree, View};

/// A parsed pointer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer {
    steps: Vec<Step>,
    /// The keys joined by dots: how logs that were flattened write the same field.
    dotted: Option<Box<str>>,
    /// What follows `!json`: a pointer into the JSON that the text at this one holds.
    inner: Option<Box<Pointer>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Key(Box<str>),
    /// An element of a list by its number, or a key that looks like one.
    Index(usize, Box<str>),
    /// All elements.
    Each,
    /// The elements that have this text under this key.
    With(Box<str>, Box<str>),
}

impl Pointer {
    /// Reads `/a/b`, `/list/*/c`, `/list/*[name=dst]/value`, `/list/0`, `/text/!json/a`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((outer, inner)) = text.split_once("/!json/") {
            let inner = Some(Box::new(Self::parse(&format!("/{inner}"))?));
            return Ok(Self { inner, ..Self::parse(outer)? });
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("\"{text}\" does not begin with /"));
        };
        let steps = rest.split('/').map(step).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > 16 {
            return Err(format!("\"{text}\" has more than 16 steps"));
        }
        let keys: Option<Vec<&str>> = steps
            .iter()
            .map(|step| match step {
                Step::Key(key) => Some(&**key),
                _ => None,
            })
            .collect();
        let dotted = keys.filter(|keys| keys.len() > 1).map(|keys| keys.join(".").into());
        Ok(Self { steps, dotted, inner: None })
    }

    /// The texts that it points to, where it goes into JSON that stands in a text; else nothing.
    pub fn embedded(&self, root: View<'_>) -> Option<Vec<String>> {
        let inner = self.inner.as_deref()?;
        let mut texts = Vec::new();
        let (mut tree, outer) = (Tree::default(), self.first(root).and_then(View::as_text));
        if let Some(outer) = outer
            && super::json::parse(outer.trim(), &mut tree).is_ok()
        {
            inner.visit(tree.root(outer.trim()), &mut |view| {
                texts.extend(view.given().map(std::borrow::Cow::into_owned));
                texts.len() < 64
            });
        } else if let Some(object) = self.first(root) {
            // The same product writes it as an object at times.
            inner.visit(object, &mut |view| {
                texts.extend(view.given().map(std::borrow::Cow::into_owned));
                texts.len() < 64
            });
        }
        Some(texts)
    }

    /// The first node that it points to.
    pub fn first<'t>(&self, root: View<'t>) -> Option<View<'t>> {
        let mut found = None;
        self.visit(root, &mut |view| {
            found = Some(view);
            false
        });
        found
    }

    /// Calls `f` with every node that it points to, until `f` says `false`. A list at the end counts as its elements.
    pub fn visit<'t>(&self, root: View<'t>, f: &mut dyn FnMut(View<'t>) -> bool) {
        if walk(root, &self.steps, f).is_none()
            && let Some(view) = self.dotted.as_deref().and_then(|dotted| root.get(dotted))
        {
            finish(view, f);
        }
    }
}

fn step(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::Each);
    }
    if let Some(inner) = text.strip_prefix("*[").and_then(|inner| inner.strip_suffix(']')) {
        let (key, value) =
            inner.split_once('=').ok_or_else(|| format!("\"{text}\" has no = in its brackets"))?;
        return Ok(Step::With(key.into(), value.into()));
    }
    if text.is_empty() {
        return Err("an empty step between two /".to_owned());
    }
    let key: Box<str> = text.replace("~1", "/").replace("~0", "~").into();
    Ok(match key.parse() {
        Ok(index) => Step::Index(index, key),
        Err(_) => Step::Key(key),
    })
}

/// `None` where nothing was found, else whether to go on.
fn walk<'t>(view: View<'t>, steps: &[Step], f: &mut dyn FnMut(View<'t>) -> bool) -> Option<bool> {
    let Some((step, rest)) = steps.split_first() else { return Some(finish(view, f)) };
    match step {
        Step::Key(key) => walk(view.get(key)?, rest, f),
        Step::Index(index, key) => {
            let next = if view.kind() == Kind::Array { view.children().nth(*index) } else { view.get(key) };
            walk(next?, rest, f)
        }
        Step::Each => each(view.children(), rest, f),
        Step::With(key, value) => {
            each(view.children().filter(|child| child.get(key).is_some_and(|v| v.is(value))), rest, f)
        }
    }
}

fn each<'t>(
    children: impl Iterator<Item = View<'t>>,
    rest: &[Step],
    f: &mut dyn FnMut(View<'t>) -> bool,
) -> Option<bool> {
    let mut found = None;
    for child in children {
        match walk(child, rest, f) {
            Some(false) => return Some(false),
            Some(true) => found = Some(true),
            None => {}
        }
    }
    found
}

fn finish<'t>(view: View<'t>, f: &mut dyn FnMut(View<'t>) -> bool) -> bool {
    if view.kind() == Kind::Array { view.children().all(f) } else { f(view) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, pointer: &str) -> Vec<String> {
        let mut tree = Tree::default();
        super::super::json::parse(text, &mut tree).expect("valid");
        let mut found = Vec::new();
        Pointer::parse(pointer).expect("a pointer").visit(tree.root(text), &mut |view| {
            found.extend(view.as_text().map(std::borrow::Cow::into_owned));
            true
        });
        found
    }

    #[test]
    fn pointers_find_what_they_say() {
        let text = r#"{"a":{"b":["x","y"]},"l":[{"n":"p","v":1},{"n":"q","v":2}],"c.d":"z","e/f":"w","g":{"1":"one"}}"#;
        for (pointer, found) in [
            ("/a/b", vec!["x", "y"]),
            ("/a/b/1", vec!["y"]),
            ("/l/*/v", vec!["1", "2"]),
            ("/l/*[n=q]/v", vec!["2"]),
            ("/c.d", vec!["z"]),
            ("/c/d", vec!["z"]),
            ("/e~1f", vec!["w"]),
            ("/g/1", vec!["one"]),
            ("/nothing/*/x", vec![]),
        ] {
            assert_eq!(all(text, pointer), found, "{pointer}");
        }
    }

    #[test]
    fn json_in_a_text_is_looked_into() {
        let text = r#"{"a":"{\"b\":[\"x\",{\"c\":1}]}","o":{"b":["y"]},"n":5}"#;
        let mut tree = Tree::default();
        super::super::json::parse(text, &mut tree).expect("valid");
        let find = |pointer: &str| Pointer::parse(pointer).expect("a pointer").embedded(tree.root(text));
        assert_eq!(find("/a/!json/b"), Some(vec!["x".to_owned()]));
        assert_eq!(find("/a/!json/b/1/c"), Some(vec!["1".to_owned()]));
        assert_eq!(find("/o/!json/b"), Some(vec!["y".to_owned()]));
        assert_eq!((find("/n/!json/b"), find("/a")), (Some(Vec::new()), None));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["", "a", "/a//b", "/a/*[b]", &"/a".repeat(17)] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
    }
}
