//! Functions that a `macro_rules!` wrote, with names and types from outside and from within.

macro_rules! checkpoint {
    ($name:ident, $argument:ident: $ty:ty, $retries:literal, $output:ty) => {
        #[kitaru::checkpoint(retries = $retries, key($argument, own))]
        async fn $name($argument: $ty, own: $ty, x: u8) -> $output {
            let _ = (x, &own);
            Ok($argument)
        }
    };
}

checkpoint!(one, argument: u32, 3, anyhow::Result<u32>);
checkpoint!(two, own2: String, 1, Result<String, kitaru::Error>);

macro_rules! method {
    ($self:ident, $body:expr) => {
        struct Client(u32);

        impl Client {
            #[kitaru::checkpoint]
            async fn method(&$self, x: u32) -> u32 {
                x + $body
            }
        }
    };
}

method!(self, self.0);

macro_rules! flow {
    ($name:ident($argument:ident: $ty:ty) $body:block) => {
        #[kitaru::flow(name = "from a macro")]
        async fn $name($argument: $ty, other: $ty) -> anyhow::Result<$ty> {
            let _ = other;
            $body
        }
    };
}

flow!(three(n: u32) {
    two(String::new(), String::new(), 1).await?;
    Ok(one(n, n, 1).await? + Client(1).method(2).await)
});

fn main() {
    drop(three(1, 2));
}
