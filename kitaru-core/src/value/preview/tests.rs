//! Values as people see them.

use std::collections::HashMap;

use serde::ser::{SerializeSeq, Serializer};

use super::*;

#[derive(Serialize)]
struct Note {
    title: &'static str,
    pages: Vec<u32>,
}

#[test]
fn a_preview_reads_like_json_on_one_line() {
    assert_eq!(preview(&Note { title: "tides", pages: vec![1, 2] }, 200), r#"{"title":"tides","pages":[1,2]}"#);
    assert_eq!(preview("two\nlines\u{0}", 200), r#""two\nlines\u0000""#);
    assert_eq!(preview(&(), 200), "null");
    assert_eq!(preview(&f64::NAN, 200), "null");
}

#[test]
fn a_preview_keeps_its_bound_and_splits_no_character() {
    let text = "aß水🦀\u{7f}\u{202e}".repeat(10);
    let whole = preview(&text, 10_000);
    for limit in 3..whole.len() {
        let short = preview(&text, limit);
        assert!(short.len() <= limit, "{} bytes of {limit}", short.len());
        let kept = short.strip_suffix('…').unwrap();
        assert!(whole.starts_with(kept), "{kept}");
        assert!(limit - short.len() < 8, "it takes what there is room for");
    }
    assert_eq!(preview(&text, whole.len()), whole);
    assert_eq!(preview(&text, 0), "…");
}

#[test]
fn control_characters_of_a_terminal_are_escaped() {
    let shown = preview("\u{1b}[31m\u{7f}\u{9b}2J\u{202e}\u{2028}é", 200);
    assert_eq!(shown, r#""\u001b[31m\u007f\u009b2J\u202e\u2028é""#);
}

#[test]
fn value_that_json_cannot_express_is_shown_up_to_that_part() {
    let map = HashMap::from([((1, 2), "x")]);
    assert_eq!(preview(&(7, map), 200), "[7,{…");
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    assert_eq!(preview(&Refuses, 200), "…");
}

#[test]
fn serializing_ends_with_the_bound() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(None)?;
            loop {
                seq.serialize_element(&1)?;
            }
        }
    }
    assert_eq!(preview(&Endless, 10), "[1,1,1,…");
}

fn args(limit: usize, args: &[(&'static str, &str)]) -> ArgPreview {
    let mut preview = ArgPreview::new(limit);
    args.iter().for_each(|(name, value)| preview.arg(name, value));
    preview
}

#[test]
fn arguments_read_like_a_call() {
    let mut preview = ArgPreview::new(200);
    preview.arg("topic", "tides");
    preview.arg("n", &3);
    assert_eq!(preview.to_string(), r#"topic="tides", n=3"#);
    assert_eq!(preview.into_args(), [("topic", r#""tides""#.to_owned()), ("n", "3".to_owned())]);
    assert_eq!(ArgPreview::new(200).to_string(), "");
}

#[test]
fn a_long_argument_does_not_hide_those_behind_it() {
    let long = "x".repeat(1_000);
    let preview = args(60, &[("prompt", &long), ("n", "3"), ("notes", &long)]);
    let text = preview.to_string();
    assert!(text.len() <= 60 && text.contains(r#", n="3", notes="xxx"#), "{text}");
    let each = preview.into_args();
    assert!(each[0].1.ends_with('…') && each[2].1.ends_with('…'));
    assert_eq!(each[1].1, r#""3""#);
    assert!(each.iter().map(|(_, text)| text.len()).sum::<usize>() <= 60);
}

#[test]
fn many_arguments_keep_the_bound_of_all() {
    let many: Vec<(&'static str, &str)> = vec![("a_rather_long_name", "value"); 50];
    let text = args(100, &many).to_string();
    assert!(text.len() <= 100 && text.ends_with('…'), "{text}");
}
