//! Two answers side by side.

use serde_json::Value;

/// Floats may differ by this factor: sums are added in another order on a cluster.
const RELATIVE_TOLERANCE: f64 = 1e-12;
/// Most differences listed of one answer.
const LISTED_MAX: usize = 5;

/// How `got` differs from `want`: one line a place, `path: want … got …`, at most five; empty when they are equal.
pub fn differences(want: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", want, got, &mut found);
    found
}

fn walk(path: &str, want: &Value, got: &Value, found: &mut Vec<String>) {
    if found.len() >= LISTED_MAX {
        return;
    }
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            let (keys_a, keys_b): (Vec<_>, Vec<_>) = (a.keys().collect(), b.keys().collect());
            if keys_a == keys_b {
                for (key, value) in a {
                    walk(&format!("{path}.{key}"), value, &b[key], found);
                }
            } else {
                found.push(format!("{path}: want keys {keys_a:?} got {keys_b:?} ({})", clip(got)));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                found.push(format!(
                    "{path}: want {} elements, got {}; {}",
                    a.len(),
                    b.len(),
                    first_apart(a, b)
                ));
                return;
            }
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                walk(&format!("{path}[{i}]"), x, y, found);
            }
        }
        _ if equal_scalars(want, got) => {}
        _ => found.push(format!("{path}: want {} got {}", clip(want), clip(got))),
    }
}

fn first_apart(a: &[Value], b: &[Value]) -> String {
    let at = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let show = |side: &[Value]| side.get(at).map_or_else(|| "nothing".to_owned(), clip);
    format!("first apart at [{at}]: want {} got {}", show(a), show(b))
}

fn equal_scalars(want: &Value, got: &Value) -> bool {
    if want == got {
        return true;
    }
    match (want, got) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return false };
            (a - b).abs() <= RELATIVE_TOLERANCE * a.abs().max(b.abs())
        }
        _ => false,
    }
}

fn clip(value: &Value) -> String {
    crate::report::shorten(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rounding_is_forgiven_and_nothing_else() {
        assert!(differences(&json!([1.0, null]), &json!([1.000_000_000_000_1, null])).is_empty());
        assert_eq!(differences(&json!([1.0]), &json!([1.000_000_1])).len(), 1);
        assert_eq!(
            differences(&json!([9_007_199_254_740_993_i64]), &json!([9_007_199_254_740_992_i64])).len(),
            1
        );
        assert_eq!(differences(&json!({"a": 1}), &json!({"a": 1, "b": 2})).len(), 1);
        assert_eq!(differences(&json!([null]), &json!([0])).len(), 1);
    }
}
