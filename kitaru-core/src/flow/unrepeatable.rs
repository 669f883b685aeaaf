//! The compiler's warnings about code in a `#[flow]` that a replay would not repeat. Owns the words, one function for
//! each; must not know how the macro finds such code. The macro's `unrepeatable` calls these functions by name.
//!
//! The functions return their argument. They are deprecated, so that the compiler warns where they are called and
//! `#[allow(deprecated)]` applies there.

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
    thread_sleep: "it blocks a thread of the runtime, and every replay of the flow waits again: use \
                   `kitaru::sleep(…).await`, which is recorded";
    sleep: "every replay of the flow waits again: use `kitaru::sleep(…).await` or `kitaru::sleep_until(…).await`, which \
            are recorded";
    interval: "every replay of the flow waits again: use `kitaru::sleep(…).await` in a loop, which is recorded";
    timeout: "a replay of the flow could have another result, because this time is not recorded: use \
              `kitaru::timeout(…).await`";
    effect: "every replay of the flow would do it again, and could get another value: do it in a `#[checkpoint]`";
    environment: "a replay of the flow in another process could read something else: read it in a `#[checkpoint]`, or \
                  hand it to the flow as an argument";
    spawn: "a task of its own does not belong to the flow, and no checkpoint can be called in it: use \
            `kitaru::spawn(…)`";
    spawn_blocking: "every replay of the flow would run it again: put it into a `#[checkpoint(blocking)]`";
    select: "without `biased;` the arms are polled in another order on every replay, and equal calls that they make are \
             mixed up: use `kitaru::race(…)`, or begin with `biased;`";
}
