//! A small forest of decision trees: the shipped weights. Every value is bounded, and what each kind of evidence added
//! can be told.
//!
//! Where more of a kind of evidence can only speak for an attack (volume, novelty, rarity), the trees are monotone in
//! it: sending more never lowers a score, and the level of bytes at which a score is reached can be searched for.

/// A tree node. Children of an inner node: the next one, and `right`.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Which value is asked; [`LEAF`]: none.
    feature: u8,
    /// Not above: the next node.
    threshold: f32,
    right: u32,
    /// What the node's leaves say on average, or what the leaf says.
    value: f32,
}

const LEAF: u8 = u8::MAX;
/// Deeper trees are refused.
const MAX_DEPTH: usize = 32;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    base: f32,
    roots: Vec<u32>,
    nodes: Vec<Node>,
}

impl Forest {
    /// Reads the text form: the first line is the constant; then a tree a line, its nodes in pre-order, inner ones as
    /// `feature:threshold:mean`, leaves as `=value`. `features`: how many values there are.
    pub fn read(text: &str, features: usize) -> Option<Self> {
        let mut lines = text.lines().filter(|l| !l.starts_with('#'));
        let mut forest = Self { base: lines.next()?.parse().ok()?, ..Self::default() };
        for line in lines {
            let root = forest.nodes.len() as u32;
            let mut words = line.split(' ');
            forest.node(&mut words, features, 0)?;
            if words.next().is_some() {
                return None;
            }
            forest.roots.push(root);
        }
        Some(forest)
    }

    fn node<'t>(
        &mut self,
        words: &mut impl Iterator<Item = &'t str>,
        features: usize,
        depth: usize,
    ) -> Option<()> {
        let word = words.next()?;
        if let Some(value) = word.strip_prefix('=') {
            self.nodes.push(Node { feature: LEAF, threshold: 0.0, right: 0, value: value.parse().ok()? });
            return Some(());
        }
        let mut parts = word.split(':');
        let feature: u8 = parts.next()?.parse().ok()?;
        let (threshold, value) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        if usize::from(feature) >= features || depth > MAX_DEPTH {
            return None;
        }
        let here = self.nodes.len();
        self.nodes.push(Node { feature, threshold, right: 0, value });
        self.node(words, features, depth + 1)?;
        self.nodes[here].right = self.nodes.len() as u32;
        self.node(words, features, depth + 1)
    }

    /// The sum of what the trees say, as log odds.
    pub fn score(&self, values: &[f32]) -> f32 {
        self.roots.iter().fold(self.base, |sum, root| sum + self.walk(*root, values, |_, _| ()))
    }

    /// The same, told apart by what was asked: the steps on the way of each tree, summed per value. Together with the
    /// base they give the score.
    pub fn explain(&self, values: &[f32], parts: &mut [f32]) -> f32 {
        let mut base = self.base;
        for root in &self.roots {
            base += self.nodes.get(*root as usize).map_or(0.0, |n| n.value);
            self.walk(*root, values, |feature, step| {
                if let Some(part) = parts.get_mut(usize::from(feature)) {
                    *part += step;
                }
            });
        }
        base
    }

    fn walk(&self, root: u32, values: &[f32], mut step: impl FnMut(u8, f32)) -> f32 {
        let mut at = root as usize;
        while let Some(node) = self.nodes.get(at) {
            if node.feature == LEAF {
                return node.value;
            }
            let value = values.get(usize::from(node.feature)).copied().unwrap_or(0.0);
            // Right lies behind, never before: the walk ends.
            at = if value <= node.threshold { at + 1 } else { (node.right as usize).max(at + 1) };
            step(node.feature, self.nodes.get(at).map_or(0.0, |n| n.value) - node.value);
        }
        0.0
    }

    /// Number of trees and of nodes.
    pub fn size(&self) -> (usize, usize) {
        (self.roots.len(), self.nodes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_and_explains() {
        let text = "# comment\n-1.5\n0:2.5:0.1 =0 1:0.5:0.4 =0.2 =0.9\n=0.25\n";
        let f = Forest::read(text, 2).expect("well formed");
        assert_eq!(f.size(), (2, 6));
        for (values, wanted) in [([2.0, 9.0], -1.25), ([3.0, 0.0], -1.05), ([3.0, 1.0], -0.35)] {
            assert!((f.score(&values) - wanted).abs() < 1e-6);
            let mut parts = [0.0; 2];
            let base = f.explain(&values, &mut parts);
            assert!((base + parts[0] + parts[1] - wanted).abs() < 1e-6);
        }
    }

    #[test]
    fn refuses_what_is_malformed() {
        for text in ["", "x", "0\n0:1", "0\n2:1:0 =1 =2", "0\n0:1:0 =1", "0\n=1 =2", "0\n0:1:0 =a =1"] {
            assert!(Forest::read(text, 2).is_none(), "{text:?}");
        }
        let deep = format!("0\n{}=1{}", "0:1:0 ".repeat(40), " =1".repeat(40));
        assert!(Forest::read(&deep, 2).is_none());
    }
}
