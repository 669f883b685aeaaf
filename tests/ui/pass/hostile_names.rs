//! A module that redefines the common names.

#![allow(dead_code, non_camel_case_types, non_snake_case, unused_macros)]

use kitaru::{checkpoint as a_checkpoint, flow as a_flow};

struct Result;
struct Option;
struct String;
struct Vec;
struct Box;
struct Probe;
struct Call;
struct FlowCall;
struct Checkpoint;
struct Outcome;
struct Error;
fn Ok() {}
fn Err() {}
fn Some() {}
fn None() {}
fn call() {}
fn describe() {}
const args: u8 = 0;
const sink: u8 = 0;
static META: u8 = 0;
mod core {}
mod std {}
mod serde {}
trait Send {}
trait Sync {}
trait Copy {}
trait Clone {}
trait Fn {}
trait Future {}
trait Default {}
macro_rules! module_path {
    () => {
        compile_error!("the user's own")
    };
}
macro_rules! file {
    () => {
        compile_error!("the user's own")
    };
}
macro_rules! line {
    () => {
        compile_error!("the user's own")
    };
}
macro_rules! stringify {
    ($($t:tt)*) => {
        compile_error!("the user's own")
    };
}

/// Methods on everything, with the names that the probes use.
trait Everything {
    fn outcome(&self) {}
    fn duplicate(&self) {}
    fn input(&self) {}
    fn of(&self) {}
}
impl<T> Everything for T {}

#[derive(::serde::Serialize, ::serde::Deserialize, ::std::clone::Clone)]
struct Mine(u8);

#[a_checkpoint(retries = 1, timeout = "1s", memo(max_age = "1s"))]
async fn body(body: u8, call: Mine, probe: ::std::option::Option<&str>) -> ::std::result::Result<u8, kitaru::Error> {
    let _: Probe = Probe;
    let _ = (Option, call, probe);
    body.outcome();
    ::std::result::Result::Ok(body)
}

#[a_checkpoint]
async fn r#type(mine: Mine) -> Mine {
    mine
}

#[a_flow(reuse = "24h")]
async fn run(input: u8, r#mod: ::std::string::String) -> ::std::result::Result<u8, kitaru::Error> {
    let Mine(n) = r#type(Mine(input)).await;
    body(n, Mine(1), ::std::option::Option::Some(&r#mod)).await
}

impl Mine {
    #[a_checkpoint]
    async fn body(&self, n: u8) -> ::std::result::Result<Self, ::std::string::String> {
        ::std::result::Result::Ok(Self(n + self.0))
    }
}

fn main() {
    drop(run(1, ::std::string::String::new()));
}
