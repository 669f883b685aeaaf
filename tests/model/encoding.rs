//! Section 7: a value that cannot be read back is never recorded.

use std::collections::HashMap;

use kitaru::{Error, Status, checkpoint, flow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{log, memory};

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(tag = "kind")]
enum Internal {
    A { x: u32 },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    A(u32),
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Skips {
    #[serde(default, skip_serializing_if = "is_zero")]
    a: u8,
    v: Vec<u8>,
}

fn is_zero(n: &u8) -> bool {
    *n == 0
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    rest: HashMap<String, u32>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct All {
    value: Value,
    internal: Internal,
    untagged: Vec<Untagged>,
    adjacent: Adjacent,
    skips: Skips,
    flat: Flat,
}

fn all() -> All {
    All {
        value: json!({"a": [1, null, "x"]}),
        internal: Internal::A { x: 1 },
        untagged: vec![Untagged::Number(1), Untagged::Text("x".into())],
        adjacent: Adjacent::A(1),
        skips: Skips { a: 0, v: vec![1, 0] },
        flat: Flat { id: 1, rest: HashMap::from([("x".into(), 2)]) },
    }
}

#[checkpoint]
async fn gives_all() -> All {
    all()
}

/// bincode reads it back as other values: the bytes of `v` become `a` and `v`.
#[checkpoint]
async fn gives_skips() -> Skips {
    all().skips
}

#[checkpoint(codec = "json")]
async fn gives_json(n: u64) -> Result<u64, Error> {
    Ok(n)
}

#[flow]
async fn keeps_all(path: String) -> Result<(), Error> {
    let same = gives_all().await == all() && gives_skips().await == all().skips && gives_json(7).await? == 7;
    log(&path).say(same.to_string());
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn a_value_that_bincode_cannot_give_back_is_kept_as_json() {
    let (kitaru, _) = memory().await;
    for _ in 0..2 {
        keeps_all("all".into()).on(&kitaru).await.unwrap_err();
        assert_eq!(log("all").take(), ["true"]);
    }
}

mod before {
    use kitaru::checkpoint;

    #[checkpoint]
    pub async fn measured() -> (u32, u32) {
        (1, 2)
    }

    #[checkpoint]
    pub async fn grown() -> u8 {
        1
    }
}

mod after {
    use kitaru::checkpoint;

    /// bincode reads the bytes of two small `u32`s as this, and is wrong.
    #[checkpoint]
    pub async fn measured() -> [u8; 2] {
        [9, 9]
    }

    #[checkpoint]
    pub async fn grown() -> (u8, u8) {
        (9, 9)
    }
}

#[flow]
async fn changes_shape(path: String) -> Result<String, Error> {
    let old = log(&path).count("old") > 0;
    let seen = match (path.as_str(), old) {
        ("measured", true) => format!("{:?}", before::measured().await),
        ("measured", false) => format!("{:?}", after::measured().await),
        (_, true) => before::grown().await.to_string(),
        (_, false) => format!("{:?}", after::grown().await),
    };
    if old { Err(Error::msg(seen)) } else { Ok(seen) }
}

#[tokio::test]
async fn bytes_of_another_shape_make_the_execution_stuck_and_lose_nothing() {
    let (kitaru, _) = memory().await;
    for path in ["measured", "grown"] {
        log(path).say("old");
        changes_shape(path.into()).id(path).on(&kitaru).await.unwrap_err();
        log(path).take();
        let error = changes_shape(path.into()).id(path).on(&kitaru).await.unwrap_err();
        assert!(error.is_stuck(), "{error:?}");
        let message = format!("{error:#}");
        for part in [path, "version", "codec = \"json\"", "Kitaru::resume"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let execution = kitaru.execution(("changes_shape", path)).await.unwrap().unwrap();
        assert_eq!((execution.status(), execution.records().len()), (Status::Stuck, 1));
        assert!(changes_shape(path.into()).id(path).on(&kitaru).await.unwrap_err().is_stuck());
        changes_shape(path.into()).id(path).fresh().on(&kitaru).await.unwrap();
    }
}
