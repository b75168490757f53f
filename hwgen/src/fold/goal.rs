//! What is asked of a folding.

/// What a folding is chosen for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At least so many frames a second; the largest share of the part is made small, then the LUTs.
    Rate(f64),
    /// As many frames a second as LUT, FF, DSP and block RAM (36 Kibit) allow.
    Budget([Option<f64>; 4]),
    /// The first result at most so many microseconds after the first input.
    Latency(f64),
}

/// `lut=20000,dsp=40,bram=30,ff=...` as limits.
pub fn parse_budget(text: &str) -> Result<[Option<f64>; 4], String> {
    let mut limits = [None; 4];
    for part in text.split(',') {
        let (name, number) = part.split_once('=').ok_or_else(|| format!("`{part}` is not NAME=NUMBER"))?;
        let place = match name.trim() {
            "lut" => 0,
            "ff" => 1,
            "dsp" => 2,
            "bram" | "bram36" => 3,
            other => return Err(format!("`{other}` is none of lut, ff, dsp, bram")),
        };
        let limit = number.trim().parse::<f64>().ok().filter(|limit| limit.is_finite() && *limit >= 0.0);
        let limit = limit.ok_or_else(|| format!("`{}` is not a number of at least 0", number.trim()))?;
        if limits[place].replace(limit).is_some() {
            return Err(format!("`{}` stands twice", name.trim()));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::parse_budget;

    #[test]
    fn budgets() {
        assert_eq!(parse_budget("lut=20000, dsp=0"), Ok([Some(20000.0), None, Some(0.0), None]));
        assert_eq!(parse_budget("bram=1.5,ff=7"), Ok([None, Some(7.0), None, Some(1.5)]));
        for wrong in ["", "lut", "lut=x", "lut=-1", "lut=1,lut=2", "luts=1", "lut=inf", "lut=NaN"] {
            assert!(parse_budget(wrong).is_err(), "{wrong}");
        }
    }
}
