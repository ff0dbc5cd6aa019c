//! Quantities of resources, as the flags of an engine want them.

/// Processors: a decimal number with three digits, as `--cpus` takes it. `None` when the text is no quantity.
/// Source: Kubernetes `resource.Quantity`; smaller parts than a thousandth are rounded up, as there.
pub fn cpus(text: &str) -> Option<String> {
    let milli = (number(text)? * 1000.0).ceil();
    Some(format!("{}", milli / 1000.0))
}

/// Bytes. `None` when the text is no quantity.
/// Source: Kubernetes `resource.Quantity`; parts of a byte are rounded up, as there.
pub fn bytes(text: &str) -> Option<u64> {
    // no memory is that large; the comparison keeps the conversion exact
    Some(number(text)?.ceil()).filter(|n| *n < 9e18).map(|n| n as u64)
}

fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let binary = |power| 1024f64.powi(power);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        // an exponent: `12e6`
        _ => return text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0),
    };
    digits.parse::<f64>().ok().map(|n| n * factor).filter(|n| *n >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_does() {
        for (text, expected) in
            [("500m", Some("0.5")), ("2", Some("2")), ("0.1", Some("0.1")), ("100u", Some("0.001")), ("x", None)]
        {
            assert_eq!(cpus(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("64Mi", Some(67_108_864)),
            ("128974848", Some(128_974_848)),
            ("129e6", Some(129_000_000)),
            ("1.5G", Some(1_500_000_000)),
            ("1500m", Some(2)),
            ("-1", None),
            ("many", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
