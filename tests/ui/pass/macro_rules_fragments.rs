//! Functions that a `macro_rules!` wrote, from fragments of every kind.

// The arguments are written in a macro, where no body can name them.
#![allow(unused_braces, unused_variables)]

use kitaru::agent::RunContext;

macro_rules! steps {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$lifetime:lifetime>($($pat:pat_param => $ty:ty),*) -> $output:ty $body:block) => {
        $(#[$meta])*
        #[kitaru::checkpoint]
        $vis async fn $name<$lifetime>($($pat: $ty),*) -> $output $body
    };
}

steps! {
    /// Has a doc comment.
    #[allow(dead_code)]
    pub(crate) fn borrowing<'a>(text => &'a str, (a, _) => (u32, u32)) -> Result<u32, kitaru::Error> {
        let n: u32 = text.parse().map_err(kitaru::Error::msg)?;
        Ok(n + a)
    }
}

/// A body that goes through several macros, each of which puts it into a group.
macro_rules! twice {
    ($kind:ident $name:ident $body:block) => { once!($kind $name $body); };
}
macro_rules! once {
    (checkpoint $name:ident $body:block) => {
        #[kitaru::checkpoint]
        async fn $name(n: u32) -> Result<u32, kitaru::Error> $body
    };
    (flow $name:ident $body:block) => {
        #[kitaru::flow]
        async fn $name(n: u32) -> Result<u32, kitaru::Error> $body
    };
    (blocking $name:ident $body:block) => {
        #[kitaru::checkpoint(blocking)]
        fn $name(n: u32) -> Result<u32, kitaru::Error> $body
    };
    (tool $name:ident $body:block) => {
        /// A model receives this text.
        #[kitaru::tool]
        async fn $name(n: u32) -> Result<u32, kitaru::agent::ToolError> $body
    };
}

twice!(checkpoint one { Ok(1) });
twice!(flow two {
    tokio::join!(one(1)).0?;
    Ok(2)
});
twice!(blocking three { Ok(3) });
twice!(tool four { Ok(4) });

/// A block as an expression, an expression, a statement, a literal and a path.
macro_rules! expressions {
    ($expr:expr, $statement:stmt, $literal:literal, $path:path, $token:tt) => {
        #[kitaru::checkpoint(name = $literal, retries = 1, retry_if = $path)]
        async fn expressions(n: u32) -> Result<u32, kitaru::Error> {
            $statement
            let _ = (n, $token);
            Ok($expr)
        }
    };
}

fn is_passing(_: &kitaru::Error) -> bool {
    true
}

expressions!({ 1 + 1 }, let _x = 1, "from fragments", self::is_passing, "token");

/// Types of a tool: the context, the arguments and the result.
macro_rules! tools {
    ($doc:literal, $name:ident, $context:ty, $deps:ty, $argument:ty, $output:ty, $body:block) => {
        #[doc = $doc]
        #[kitaru::tool]
        async fn $name(context: $context, argument: $argument) -> $output {
            let _deps: &$deps = &context.deps;
            let _ = argument;
            $body
        }
    };
}

tools!("By reference.", by_reference, &RunContext<u32>, u32, Vec<String>, Result<u32, kitaru::agent::ToolError>, { Ok(1) });
tools!("By value.", by_value, RunContext<String>, String, Option<u8>, u32, { 1 });

/// Whole functions.
macro_rules! whole {
    ($($item:item)*) => {
        $(#[kitaru::checkpoint] $item)*
    };
}

whole! {
    async fn whole_one(n: u32) -> u32 { n }
    /// With a doc comment.
    async fn whole_two<T: serde::Serialize>(list: &[T]) -> usize { list.len() }
}

/// The crate under a path of the macro's own.
macro_rules! own_path {
    ($name:ident, $flow:ident, $tool:ident, $body:block) => {
        #[$crate::again::kitaru::checkpoint(crate = $crate::again::kitaru)]
        async fn $name(n: u32) -> u32 $body

        #[$crate::again::kitaru::flow(crate = $crate::again::kitaru)]
        async fn $flow(n: u32) -> Result<u32, kitaru::Error> { Ok($name(n).await) }

        /// A model receives this text.
        #[$crate::again::kitaru::tool(crate = $crate::again::kitaru)]
        async fn $tool(n: u32) -> u32 { n }
    };
}

mod again {
    pub(crate) use kitaru;
}

own_path!(own_step, own_flow, own_tool, { 1 });

/// A method with the body from outside, and its `self`.
macro_rules! method {
    ($self:ident $body:block) => {
        struct Client(u32);

        impl Client {
            #[kitaru::checkpoint]
            async fn method(&$self, x: u32) -> u32 $body
        }
    };
}

method!(self { self.0 });

#[kitaru::flow]
async fn all(n: u32) -> Result<u32, kitaru::Error> {
    borrowing("1", (1, 2)).await?;
    one(n).await?;
    three(n).await?;
    expressions(n).await?;
    whole_one(1).await;
    whole_two(&[1, 2]).await;
    Ok(Client(1).method(2).await)
}

fn main() {
    drop((all(1), two(1), own_flow(1)));
    let _ = (four(), by_reference(), by_value(), own_tool());
}
