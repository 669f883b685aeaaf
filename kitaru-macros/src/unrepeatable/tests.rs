//! What is marked and what is not, token by token.

use super::*;

/// The body as it is emitted, with each mark shortened to the name of its warning.
fn marked(body: &str) -> String {
    let tokens: Vec<TokenTree> = body.parse::<TokenStream>().expect("tokens").into_iter().collect();
    let krate = quote!(k);
    let marked = Marks { krate: &krate, made: 0 }.tokens(&tokens, None).to_string();
    marked.replace(' ', "").replace("k::__private::unrepeatable::", "!!")
}

#[track_caller]
fn becomes(body: &str, expected: &str) {
    assert_eq!(marked(body), expected.replace(' ', ""), "{body}");
}

#[test]
fn unrepeatable_function_is_marked_wherever_an_expression_may_be() {
    becomes("SystemTime::now()", "!!time(SystemTime::now)()");
    becomes("::std::time::Instant::now()", "!!time(::std::time::Instant::now)()");
    becomes("x.or_else(Instant::now).max(1)", "x.or_else(!!time(Instant::now)).max(1)");
    becomes("0..rand::random::<u64>()", "0..!!random(rand::random::<u64>)()");
    becomes("let x: u8 = rand::random::<fn() -> Vec<u8>>;", "let x: u8 = !!random(rand::random::<fn() -> Vec<u8>>);");
    becomes("async move { || [time::sleep(d)] }", "async move { || [!!sleep(time::sleep)(d)] }");
    becomes("if !(Instant::now() < x) {}", "if !(!!time(Instant::now)() < x) {}");
    becomes("unsafe fn_(*const_, tokio::spawn(f))", "unsafe fn_(*const_, !!spawn(tokio::spawn)(f))");
    becomes("a as *const u8; tokio::spawn(f)", "a as *const u8; !!spawn(tokio::spawn)(f)");
    becomes("let f: fn(u8) = g; tokio::spawn(f)", "let f: fn(u8) = g; !!spawn(tokio::spawn)(f)");
    becomes("thread_rng().gen()", "!!random(thread_rng)().gen()");
    becomes("chrono::Utc::now() - Local::now()", "!!time(chrono::Utc::now)() - !!time(Local::now)()");
    becomes("OffsetDateTime::now_utc()", "!!time(OffsetDateTime::now_utc)()");
    becomes("jiff::Zoned::now() > Timestamp::now()", "!!time(jiff::Zoned::now)() > !!time(Timestamp::now)()");
    becomes("fs::read(p)?; tokio::fs::write(p, b)", "!!effect(fs::read)(p)?; !!effect(tokio::fs::write)(p, b)");
    becomes("std::fs::File::open(p)", "!!effect(std::fs::File::open)(p)");
    becomes("reqwest::get(u).await", "!!effect(reqwest::get)(u).await");
    becomes("process::Command::new(p)", "!!effect(process::Command::new)(p)");
    becomes("env::var(\"HOME\")", "!!environment(env::var)(\"HOME\")");
}

#[test]
fn function_of_another_path_stays_as_it_is() {
    for body in [
        "sleep(d) + spawn(f) + now() + time::spawn(f) + task::spawn(f)",
        "kitaru::sleep(d) + kitaru::timeout(d, f) + kitaru::spawn(f) + kitaru::now()",
        "clap::Command::new(n); Command::new(n); my::Utc::now(); my::fs::read(p); disk.read(p); read(p); reqwest::Client::new()",
        "pool.spawn(f); self.thread_rng(); thread_rng(1); thread_rng",
        "my::tokio::spawn(f); crate::time::sleep(d); ::time::sleep(d); my::Instant::now()",
        "use tokio::time::sleep; use std::{thread::sleep, time::Instant::now};",
        "fn a() -> u8 { Instant::now() } impl A for B { fn c() { rand::random() } } mod d { e!(tokio::spawn()) }",
        "const A: B = SystemTime::now; static mut C: D = rand::random; const { Instant::now }",
        "macro_rules! now { () => { Instant::now() } } #[a(tokio::time::sleep)] #![b(rand::random)] b()",
        "my_own!(tokio::time::sleep(d)); assert!(rand::random()); stringify!(SystemTime::now())",
    ] {
        becomes(body, body);
    }
}

#[test]
fn an_unbiased_select_is_marked_at_its_first_async_block() {
    becomes(
        "select! { a = async { b } => c, d = async { e } => f }",
        "select! { a = !!select(async { b }) => c, d = async { e } => f }",
    );
    becomes(
        "tokio::select! { 1..=2 = f(), if a == b => { async { c } } x = async move { rand::random() } => d }",
        "tokio::select! { 1..=2 = f(), if a == b => { async { c } } \
         x = !!select(async move { !!random(rand::random)() }) => d }",
    );
    for body in [
        "select! { biased; a = async { b } => c, d = async { e } => f }",
        "select! { a = b() => async { c }.await, d = e(async { f }) => { g = async {}; } else => h = async { i } }",
        "futures::select! { a = async { b } => c }",
    ] {
        becomes(body, body);
    }
}

#[test]
fn expressions_in_macros_are_looked_into() {
    becomes("tokio::join!(tokio::time::sleep(d))", "tokio::join!(!!sleep(tokio::time::sleep)(d))");
    becomes("println!(\"{:?}\", [vec![rand::rng()]])", "println!(\"{:?}\", [vec![!!random(rand::rng)()]])");
}
