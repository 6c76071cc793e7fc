//! Numbers for people.

/// Four digits that count: `0.3016`, `12.35`, `1.6e-7`.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "not a number".to_owned(),
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e6).contains(&size) => exponential(value),
        _ if value.fract() == 0.0 => whole(value),
        _ => {
            let digits = (3.0 - size.log10().floor()).clamp(0.0, 4.0) as usize;
            format!("{value:.digits$}")
        }
    }
}

/// A whole number with its thousands apart: `980,385`.
pub(crate) fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

/// A length of time: `1.8 s`, `27 s`, `6 min 18 s`, `3 h 5 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

/// The label of a tick of an axis whose ticks are `step` apart: as few digits as distinguish it from its neighbours,
/// thousands as `k`.
pub(crate) fn tick(value: f64, step: f64) -> String {
    let digits = |step: f64| {
        // 2.5 has a digit more than its decade, and 0.1 none too many for its own representation.
        let decade = step.abs().log10().floor();
        (1.0 - decade).clamp(0.0, 12.0) as usize
    };
    let size = value.abs();
    if size < step.abs() / 2.0 {
        "0".to_owned()
    } else if (1e4..1e7).contains(&size) {
        format!("{}k", trimmed(value / 1e3, digits(step / 1e3)))
    } else if (1e-3..1e4).contains(&size) {
        trimmed(value, digits(step))
    } else {
        let exponent = size.log10().floor() as i32;
        // In two steps: the power of the smallest numbers is 0.
        let half = exponent / 2;
        let scaled = |value: f64| value / 10f64.powi(half) / 10f64.powi(exponent - half);
        format!(
            "{}e{exponent}",
            trimmed(scaled(value), digits(scaled(step)))
        )
    }
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn exponential(value: f64) -> String {
    let text = format!("{value:.1e}");
    text.replace(".0e", "e")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_four_digits_that_count() {
        let cases = [
            (0.301_633, "0.3016"),
            (12.3456, "12.35"),
            (123_456.7, "123457"),
            (980_385.0, "980,385"),
            (0.0, "0"),
            (1.6e-7, "1.6e-7"),
            (-0.25, "-0.2500"),
            (f64::NAN, "not a number"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(whole(value), text);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, text) in [
            (1.79, "1.8 s"),
            (9.97, "10 s"),
            (59.6, "1 min 0 s"),
            (378.0, "6 min 18 s"),
            (11_100.0, "3 h 5 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn ticks_are_short() {
        for (value, step, text) in [
            (0.25, 0.25, "0.25"),
            (400.0, 100.0, "400"),
            (200_000.0, 50_000.0, "200k"),
            (12_500.0, 2_500.0, "12.5k"),
            (1e-4, 1e-4, "1e-4"),
            (6e-310, 2e-310, "6e-310"),
            (2.5e7, 5e6, "2.5e7"),
            (1e-18, 0.25, "0"),
        ] {
            assert_eq!(tick(value, step), text);
        }
    }
}
