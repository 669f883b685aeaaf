//! Code that a replay would not repeat is a warning, at the path as it is written, in closures, blocks and macros.

#![deny(deprecated)]

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use kitaru::{checkpoint, flow};
use tokio::time;

/// Stand-ins for the crates of these names.
mod rand {
    pub fn random<T: Default>() -> T {
        T::default()
    }
    pub fn rng() {}
    pub fn thread_rng() {}
    pub mod rngs {
        pub struct StdRng;
        impl StdRng {
            pub fn from_os_rng() {}
        }
    }
}
mod chrono {
    pub struct Utc;
    impl Utc {
        pub fn now() {}
    }
    pub struct Local;
    impl Local {
        pub fn now() {}
    }
}
mod jiff {
    pub struct Zoned;
    impl Zoned {
        pub fn now() {}
    }
    pub struct Timestamp;
    impl Timestamp {
        pub fn now() {}
    }
}
struct OffsetDateTime;
impl OffsetDateTime {
    fn now_utc() {}
}
mod reqwest {
    pub async fn get(_: &str) {}
}
mod uuid {
    pub struct Uuid;
    impl Uuid {
        pub fn new_v4() {}
    }
}
use rand::thread_rng;

const SECOND: Duration = Duration::from_secs(1);

#[checkpoint]
async fn work() -> u32 {
    1
}

#[flow]
async fn reads_the_time() -> anyhow::Result<()> {
    let _ = (std::time::SystemTime::now(), ::std::time::Instant::now());
    let _ = None.unwrap_or_else(SystemTime::now).max(SystemTime::now());
    let _ = || async { println!("{:?} {:?}", Instant::now(), tokio::time::Instant::now()) };
    Ok(())
}

#[flow]
async fn draws_numbers() -> anyhow::Result<u64> {
    rand::rng();
    rand::thread_rng();
    thread_rng();
    rand::rngs::StdRng::from_os_rng();
    uuid::Uuid::new_v4();
    let numbers = vec![rand::random::<u64>(); 3];
    Ok(numbers[(0..rand::random()).len()])
}

#[flow]
async fn waits() -> anyhow::Result<()> {
    thread::sleep(SECOND);
    std::thread::sleep(SECOND);
    tokio::time::sleep(SECOND).await;
    time::sleep_until(tokio::time::Instant::now() + SECOND).await;
    let mut ticks = tokio::time::interval(SECOND);
    ticks.tick().await;
    let (late, _) = tokio::join!(tokio::time::timeout(SECOND, work()), async { tokio::time::sleep(SECOND).await });
    late?;
    Ok(())
}

#[flow]
async fn splits() -> anyhow::Result<()> {
    tokio::spawn(work()).await?;
    tokio::spawn::<_>(async { rand::random::<u8>() }).await?;
    tokio::task::spawn(work()).await?;
    tokio::task::spawn_blocking(|| 1).await?;
    Ok(())
}

#[flow]
async fn selects() -> anyhow::Result<u32> {
    let n = tokio::select! {
        n = work(), if true => n,
        1..=3 = async move { work().await } => { 1 }
        _ = tokio::time::sleep(SECOND) => 2,
    };
    use tokio::select;
    select! {
        m = async { work().await } => Ok(n + m),
        else => Ok(1),
    }
}

#[flow]
async fn reads_other_clocks() -> anyhow::Result<()> {
    chrono::Utc::now();
    chrono::Local::now();
    jiff::Zoned::now();
    jiff::Timestamp::now();
    OffsetDateTime::now_utc();
    Ok(())
}

#[flow]
async fn does_it_anew() -> anyhow::Result<String> {
    use std::fs;
    reqwest::get("https://example.com").await;
    tokio::fs::write("report", "done").await?;
    std::process::Command::new("pay").status()?;
    tokio::net::TcpStream::connect("localhost:80").await?;
    let home = std::env::var("HOME")?;
    Ok(fs::read_to_string(home)?)
}

fn main() {}
