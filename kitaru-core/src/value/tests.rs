//! Arguments on their way to a key and to a preview.

use serde::ser::{Error as _, Serializer};

use super::*;

struct Refuses(&'static str);

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(self.0))
    }
}

fn describe(sink: &mut ArgSink<'_>) {
    sink.arg("topic", "tides");
    sink.arg("n", &3u32);
}

#[test]
fn the_same_description_goes_to_a_key_and_to_text() {
    let mut canon = Canon::default();
    let mut sink = ArgSink::canonical(&mut canon);
    describe(&mut sink);
    sink.finish().unwrap();
    let mut expected = Canon::default();
    expected.arg("tides").unwrap();
    expected.arg(&3u8).unwrap();
    assert_eq!(canon.key(&[b"name"]), expected.key(&[b"name"]));

    let mut preview = ArgPreview::new(200);
    describe(&mut ArgSink::preview(&mut preview));
    assert_eq!(preview.to_string(), r#"topic="tides", n=3"#);
}

#[test]
fn the_first_argument_that_is_refused_is_named() {
    let describe = |sink: &mut ArgSink<'_>| {
        sink.arg("topic", "tides");
        sink.arg("client", &Refuses("a socket cannot be kept"));
        sink.arg("other", &Refuses("neither can this"));
        sink.arg("n", &3);
    };
    let mut canon = Canon::default();
    let mut sink = ArgSink::canonical(&mut canon);
    describe(&mut sink);
    let why = sink.finish().unwrap_err();
    assert!(why.is_unreadable());
    assert_eq!(format!("{why:#}"), "argument `client` cannot be serialized: a socket cannot be kept");
    assert_eq!(canon.shorts().len(), 4);

    let mut preview = ArgPreview::new(200);
    let mut sink = ArgSink::preview(&mut preview);
    describe(&mut sink);
    sink.finish().unwrap();
    assert_eq!(preview.to_string(), r#"topic="tides", client=…, other=…, n=3"#);
}
