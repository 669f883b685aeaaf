//! A program in which two flows go by one name: a program of its own, because none of its stores open.

use kitaru::Kitaru;

mod first {
    #[kitaru::flow]
    pub async fn report(n: u32) -> Result<u32, kitaru::Error> {
        Ok(n)
    }
}

mod second {
    #[kitaru::flow]
    pub async fn report(n: u32) -> Result<u32, kitaru::Error> {
        Ok(n + 1)
    }
}

#[tokio::test]
async fn two_flows_of_one_name_in_a_program_are_an_error_that_asks_for_another() {
    let error = Kitaru::builder().in_memory().open().await.err().unwrap();
    assert!(error.is_misuse(), "{error}");
    let message = error.to_string();
    for part in ["`report`", "first", "second", "flow_names.rs", "#[flow(name = \"…\")]"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    let _ = (first::report(1), second::report(1));
}
