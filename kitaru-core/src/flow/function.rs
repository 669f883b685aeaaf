//! The functions that `#[flow]` makes. Owns the question whether a type is one.

/// A function with `#[flow]`, of up to sixteen arguments. `Call` is its return type. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a flow",
    label = "not a function with `#[flow]`",
    note = "name the function: `.register(write_report)`"
)]
pub trait FlowFunction<Call, Args>: sealed::Sealed<Call, Args> {}

mod sealed {
    pub trait Sealed<Call, Args> {}
}

macro_rules! functions {
    ($(($($arg:ident)*))*) => { $(
        impl<Function: Fn($($arg),*) -> Call, Call, $($arg),*> sealed::Sealed<Call, ($($arg,)*)> for Function {}

        #[diagnostic::do_not_recommend]
        impl<Function: Fn($($arg),*) -> Call, Call, $($arg),*> FlowFunction<Call, ($($arg,)*)> for Function {}
    )* };
}

functions! {
    () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) (A B C D E F G H I)
    (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L) (A B C D E F G H I J K L M)
    (A B C D E F G H I J K L M N) (A B C D E F G H I J K L M N O) (A B C D E F G H I J K L M N O P)
}
