//! How many orders are tried.

/// Runs a program of several threads in many orders: half of them at random, half so that few changes of turn, which most
/// mistakes need no more of, come at any place ("A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs",
/// Burckhardt and others, 2010).
pub(crate) fn try_orders(program: impl Fn() + Send + Sync + 'static + Clone) {
    let count = std::env::var("KITARU_ORDERS").map_or(1_000, |count| count.parse().expect("a number"));
    shuttle::check_random(program.clone(), count / 2);
    shuttle::check_pct(program, count / 2, 3);
}
