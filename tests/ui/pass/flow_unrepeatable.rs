//! There is no warning for code that repeats, is the user's own, is in an item of its own, or is allowed.

#![deny(warnings, clippy::all)]
#![allow(dead_code)]

use std::time::{Duration, Instant, SystemTime};

use kitaru::{checkpoint, flow};

const SECOND: Duration = Duration::from_secs(1);

fn spawn(n: u32) -> u32 {
    n
}

async fn sleep(_: Duration) {}

mod task {
    pub fn spawn() {}
    pub mod time {
        pub async fn sleep() {}
    }
}

struct Pool;

impl Pool {
    fn spawn(&self, n: u32) -> u32 {
        n
    }
    fn thread_rng(&self) {}
    fn now() {}
    fn read(&self) {}
}

mod fs_of_my_own {
    pub fn read() {}
}

macro_rules! tokens {
    ($($token:tt)*) => {
        stringify!($($token)*)
    };
}

/// A checkpoint is not replayed.
#[checkpoint]
async fn work() -> u32 {
    tokio::time::sleep(SECOND).await;
    let now = SystemTime::now();
    tokio::spawn(async move { now.elapsed().map_or(0, |passed| passed.subsec_nanos()) }).await.unwrap_or(1)
}

#[flow]
async fn repeats() -> anyhow::Result<u32> {
    let _ = (kitaru::now(), kitaru::random(), kitaru::uuid());
    kitaru::sleep(SECOND).await;
    kitaru::timeout(SECOND, work()).await?;
    let n = kitaru::spawn(work()).await;
    let n = n + kitaru::race((work(), async { work().await })).await;
    let of_calls = tokio::select! {
        n = work() => { async { n }.await }
        n = kitaru::spawn(work()) => n,
    };
    let m = tokio::select! {
        biased;
        m = async { work().await } => m,
        m = async { of_calls } => m,
    };
    Ok(n + m)
}

#[flow]
async fn has_its_own() -> anyhow::Result<String> {
    use tokio::time::sleep as rests;
    sleep(SECOND).await;
    rests(SECOND).await;
    Pool.spawn(spawn(1));
    Pool.thread_rng();
    Pool::now();
    Pool.read();
    fs_of_my_own::read();
    println!("a line of its own on every replay");
    task::spawn();
    self::task::time::sleep().await;
    let thread_rng: fn(u32) -> u32 = spawn;
    let _: Option<tokio::time::Instant> = None;
    let _ = (tokio::time::Duration::from_secs(thread_rng(1).into()), SystemTime::UNIX_EPOCH);
    #[cfg(any())]
    tokio::time::sleep(SECOND).await;
    Ok(tokens!(tokio::time::sleep(SystemTime::now())).to_owned())
}

#[flow]
async fn has_items() -> anyhow::Result<Duration> {
    fn passed() -> Duration {
        Instant::now().elapsed()
    }
    struct Timer;
    impl Timer {
        fn passed() -> Duration {
            Instant::now().elapsed()
        }
    }
    const NOW: fn() -> SystemTime = SystemTime::now;
    static SLEEP: fn(Duration) = std::thread::sleep;
    #[checkpoint]
    async fn nested() -> u128 {
        NOW().elapsed().map_or(0, |passed| passed.as_nanos())
    }
    macro_rules! now {
        () => {
            SystemTime::now()
        };
    }
    nested().await;
    SLEEP(now!().elapsed()?);
    Ok(passed() + Timer::passed())
}

#[allow(deprecated)]
#[flow]
async fn is_allowed() -> anyhow::Result<()> {
    tokio::time::sleep(Instant::now().elapsed()).await;
    Ok(())
}

#[flow]
#[expect(deprecated, reason = "it is only shown")]
async fn is_expected() -> anyhow::Result<()> {
    println!("{:?}", SystemTime::now());
    Ok(())
}

#[flow]
async fn is_allowed_where_it_stands(n: u32) -> anyhow::Result<()> {
    #[allow(deprecated)]
    let started = Instant::now();
    #[expect(deprecated)]
    let started = Some(started).unwrap_or_else(Instant::now);
    #[allow(deprecated)]
    let passed = || Instant::now() - started;
    match n {
        #[allow(deprecated)]
        1 => tokio::time::sleep(passed()).await,
        _ => {}
    }
    #[allow(deprecated)]
    {
        println!("{:?}", SystemTime::now());
        if SystemTime::now() > SystemTime::UNIX_EPOCH {
            std::thread::sleep(passed());
        }
        tokio::select! {
            n = async { work().await } => println!("{n}"),
            n = async move { work().await + n } => println!("{n}"),
        }
    }
    Ok(())
}

fn main() {
    drop(is_allowed_where_it_stands(1));
}
