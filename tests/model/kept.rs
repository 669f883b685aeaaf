//! Section 7: the content of a record: its codec, its shape, and nothing sensitive.

use kitaru::{Error, checkpoint, flow};
use serde::{Deserialize, Serialize};

use crate::support::{log, memory};

mod before {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub struct Paper {
        pub title: String,
    }

    #[checkpoint(name = "as_bincode")]
    pub async fn as_bincode() -> Paper {
        Paper { title: "tides".into() }
    }

    #[checkpoint(name = "as_json", codec = "json")]
    pub async fn as_json() -> Paper {
        Paper { title: "tides".into() }
    }
}

mod after {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub struct Paper {
        pub title: String,
        #[serde(default)]
        pub pages: u32,
    }

    #[checkpoint(name = "as_bincode")]
    pub async fn as_bincode() -> Paper {
        Paper { title: "revised".into(), pages: 9 }
    }

    #[checkpoint(name = "as_json", codec = "json")]
    pub async fn as_json() -> Paper {
        Paper { title: "revised".into(), pages: 9 }
    }
}

#[flow]
async fn reads_paper(path: String) -> Result<String, Error> {
    let is_old = log(&path).count("old") > 0;
    let (title, pages) = match (is_old, path.ends_with("json")) {
        (true, true) => (before::as_json().await.title, 0),
        (true, false) => (before::as_bincode().await.title, 0),
        (false, is_json) => {
            let paper = if is_json { after::as_json().await } else { after::as_bincode().await };
            (paper.title, paper.pages)
        }
    };
    if is_old { Err(Error::msg(title)) } else { Ok(format!("{title}, {pages} pages")) }
}

#[tokio::test]
async fn a_record_in_json_is_read_by_name_by_a_type_that_has_grown_since() {
    let (kitaru, _) = memory().await;
    for path in ["kept: json", "kept: bincode"] {
        log(path).say("old");
        assert_eq!(reads_paper(path.into()).id(path).on(&kitaru).await.unwrap_err().to_string(), "tides");
        log(path).take();
    }
    assert_eq!(reads_paper("kept: json".into()).id("kept: json").on(&kitaru).await.unwrap(), "tides, 0 pages");
    let error = reads_paper("kept: bincode".into()).id("kept: bincode").on(&kitaru).await.unwrap_err();
    assert!(error.is_stuck(), "{error:?}");
}

mod narrow {
    use super::*;

    #[checkpoint(name = "measured_twice")]
    pub async fn measured_twice() -> (u32, u32) {
        (1, 2)
    }
}

mod wide {
    use super::*;

    #[checkpoint(name = "measured_twice")]
    pub async fn measured_twice() -> [u8; 2] {
        [9, 9]
    }
}

#[flow]
async fn measures_twice(path: String) -> Result<u32, Error> {
    if log(&path).count("old") > 0 {
        narrow::measured_twice().await;
        return Err(Error::msg("the end"));
    }
    Ok(wide::measured_twice().await.len() as u32)
}

#[tokio::test]
async fn record_of_another_shape_is_refused_with_its_names_and_both_shapes() {
    let (kitaru, _) = memory().await;
    let path = "kept: shapes";
    log(path).say("old");
    measures_twice(path.into()).id("job-42").on(&kitaru).await.unwrap_err();
    log(path).take();
    let error = measures_twice(path.into()).id("job-42").on(&kitaru).await.unwrap_err();
    let message = format!("{error:#}");
    for part in ["`measured_twice`", "`job-42`", "`measures_twice`", "<u8*2>", "<u32*2>"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[checkpoint(sensitive, retries = 1, backoff = "1ms")]
async fn signs_in(path: &str, password: String) -> Result<u32, Error> {
    log(path).say("tried");
    if log(path).count("tried") < 2 { Err(Error::msg(format!("wrong: {password}"))) } else { Ok(1) }
}

#[flow]
async fn signs_in_twice(path: String) -> Result<u32, Error> {
    signs_in(&path, "hunter2".to_owned()).await
}

#[tokio::test]
async fn a_sensitive_record_shows_nothing_of_the_tries_that_failed() {
    let kitaru = kitaru::Kitaru::builder().in_memory().open().await.unwrap();
    signs_in_twice("kept: sensitive".into()).id("job").on(&kitaru).await.unwrap();
    let execution = kitaru.execution(("signs_in_twice", "job")).await.unwrap().unwrap();
    let record = &execution.records()[0];
    let errors: Vec<_> = record.failed_tries().map(|failed| failed.error().to_owned()).collect();
    assert_eq!(errors, ["(sensitive)"]);
    assert!(!format!("{record:?}{:?}", record.arguments().collect::<Vec<_>>()).contains("hunter2"));
    let history = kitaru.export(("signs_in_twice", "job")).await.unwrap().to_string();
    assert!(
        !history.contains("hunter2")
            && !history.contains(&"hunter2".bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
    );
}
