//! The JSON schema of the `egret` object, made from the table of fields: `egret schema`.

use super::fields::{Field, OURS, expanded};
use serde_json::{Map, Value, json};

/// The schema (JSON Schema 2020-12). An object has the keys it names and no others; what is unknown is absent.
pub fn schema() -> Value {
    let mut properties = Map::new();
    for field in OURS {
        for path in expanded(field.path) {
            add(&mut properties, &path, field);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The object egret in the EVE records of Egret",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn add(properties: &mut Map<String, Value>, path: &str, field: &Field) {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let (name, is_list) = head.strip_suffix("[]").map_or((head, false), |name| (name, true));
    // Words of a closed set stand as keys: every one of them holds the same.
    if matches!(name, "SOURCE" | "REASON") {
        properties.insert(name.to_owned(), leaf(field));
        return;
    }
    let slot = properties.entry(name).or_insert_with(|| {
        let item = if rest.is_some() { object() } else { leaf(field) };
        if is_list { json!({ "type": "array", "items": item, "minItems": 1 }) } else { item }
    });
    let Some(rest) = rest else { return };
    let item = if is_list { slot.get_mut("items") } else { Some(slot) };
    let Some(item) = item.and_then(Value::as_object_mut) else { return };
    let Some(inner) = item.get_mut("properties").and_then(Value::as_object_mut) else { return };
    add(inner, rest, field);
    if let Some(any) = inner.remove("SOURCE").or_else(|| inner.remove("REASON")) {
        item.insert("additionalProperties".to_owned(), any);
    }
}

fn object() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

fn leaf(field: &Field) -> Value {
    json!({ "type": field.kind, "description": field.meaning })
}
