//! The arguments of the commands for the upkeep of a store.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// flow/id, or the beginning of an id
    pub(crate) execution: String,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gc {
    /// What was finished this long ago, such as 30d or 12h, instead of the store's own retention
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// What `export` printed; - reads the standard input
    pub(crate) file: PathBuf,
    /// The folder of the test
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// Replace a history of the same name
    #[arg(long)]
    pub(crate) force: bool,
}

/// A number and a unit: seconds, minutes, hours or days.
fn age(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("write a number and a unit, as in 90s, 30m, 12h or 7d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a whole number before the unit, as in 7d".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_a_number_and_a_unit() {
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!((age("2h"), age("7d")), (Ok(Duration::from_secs(7_200)), Ok(Duration::from_secs(604_800))));
        for wrong in ["", "d", "7", "7 d", "-1d", "1.5h", "7ü", "999999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
