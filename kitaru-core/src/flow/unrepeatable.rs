//! What the compiler says of code in a `#[flow]` that a replay would not repeat. Owns the words, one function for each;
//! must not know how the macro finds such code: that is the macro's `unrepeatable`, which calls these by their names.
//!
//! The functions give back what they are given. That they are deprecated makes the compiler warn where they are called,
//! and makes `#[allow(deprecated)]` and its like apply there.

macro_rules! unrepeatable {
    ($($name:ident: $note:literal;)*) => { $(
        #[doc = $note]
        #[deprecated(note = $note)]
        pub const fn $name<T>(code: T) -> T {
            code
        }
    )* };
}

unrepeatable! {
    time: "a replay of the flow would read another time: use `kitaru::now()`, which is recorded";
    random: "a replay of the flow would draw another number: use `kitaru::random()`, or seed a generator with it";
    uuid: "a replay of the flow would make another UUID: use `kitaru::uuid()`";
    thread_sleep: "it blocks a thread of the runtime, and every replay of the flow waits anew: use \
                   `kitaru::sleep(…).await`, which is recorded";
    sleep: "every replay of the flow waits anew: use `kitaru::sleep(…).await` or `kitaru::sleep_until(…).await`, which \
            are recorded";
    interval: "every replay of the flow waits anew: use `kitaru::sleep(…).await` in a loop, which is recorded";
    timeout: "a replay of the flow could come to another end, as this time is not recorded: use \
              `kitaru::timeout(…).await`";
    effect: "every replay of the flow would do it anew, and could be given something else: do it in a `#[checkpoint]`";
    environment: "a replay of the flow in another process could read something else: read it in a `#[checkpoint]`, or \
                  hand it to the flow as an argument";
    spawn: "a task of its own does not belong to the flow, and no checkpoint can be called in it: use \
            `kitaru::spawn(…)`";
    spawn_blocking: "every replay of the flow would run it anew: put it into a `#[checkpoint(blocking)]`";
    select: "without `biased;` the arms are polled in another order on every replay, and equal calls that they make are \
             mixed up: use `kitaru::race(…)`, or begin with `biased;`";
}
