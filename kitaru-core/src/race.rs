//! The first of several futures, without randomness. Must not know the futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for the first of several futures and drops the others.
///
/// Unlike an unbiased `tokio::select!` it polls the futures in the given order, so that a replay takes the path of the
/// first run. It takes a tuple of up to eight futures with one output type, an array or a `Vec`. A checkpoint's call
/// that loses is cancelled. It leaves no outcome, unless its record had already landed, which has no other effect.
///
/// # Panics
///
/// If it is polled without a future, because nothing could win.
///
/// # Cancel safety
///
/// Dropping it drops all the futures.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # async fn demo() {
/// use kitaru::race;
///
/// let first = race((std::future::pending(), async { "quick" })).await;
/// assert_eq!(first, "quick");
/// let first = race(vec![std::future::ready(1), std::future::ready(2)]).await;
/// assert_eq!(first, 1);
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(demo());
/// ```
pub fn race<R: Racers>(racers: R) -> Race<R::Line> {
    Race(racers.line_up())
}

/// The first of several futures. See [`race`].
#[must_use = "futures do nothing unless awaited"]
pub struct Race<L>(L);

impl<L> fmt::Debug for Race<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race").finish_non_exhaustive()
    }
}

impl<L: Line> Future for Race<L> {
    type Output = L::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<L::Output> {
        self.0.poll_in_order(cx)
    }
}

/// What [`race`] takes: a tuple of two to eight futures with one output type, an array or a `Vec` of futures. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot race",
    note = "race takes a tuple of two to eight futures with the same output, or an array or a `Vec` of futures"
)]
pub trait Racers: sealed::Sealed {
    #[doc(hidden)]
    type Line: Line;
    #[doc(hidden)]
    fn line_up(self) -> Self::Line;
}

#[doc(hidden)]
pub trait Line: Unpin {
    type Output;
    fn poll_in_order(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output>;
}

mod sealed {
    pub trait Sealed {}
}

impl<F> sealed::Sealed for Vec<F> {}

impl<F: Future> Racers for Vec<F> {
    type Line = Vec<Pin<Box<F>>>;

    fn line_up(self) -> Self::Line {
        self.into_iter().map(Box::pin).collect()
    }
}

impl<F, const N: usize> sealed::Sealed for [F; N] {}

impl<F: Future, const N: usize> Racers for [F; N] {
    type Line = Vec<Pin<Box<F>>>;

    fn line_up(self) -> Self::Line {
        Vec::from(self).line_up()
    }
}

impl<F: Future> Line for Vec<Pin<Box<F>>> {
    type Output = F::Output;

    fn poll_in_order(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        assert!(!self.is_empty(), "cannot run kitaru::race without a future: nothing can win; check before the call");
        self.iter_mut()
            .find_map(|racer| match racer.as_mut().poll(cx) {
                Poll::Ready(output) => Some(Poll::Ready(output)),
                Poll::Pending => None,
            })
            .unwrap_or(Poll::Pending)
    }
}

macro_rules! tuples {
    ($(($first:ident $($racer:ident)*))*) => { $(
        impl<$first, $($racer),*> sealed::Sealed for ($first, $($racer),*) {}

        impl<T, $first: Future<Output = T>, $($racer: Future<Output = T>),*> Racers for ($first, $($racer),*) {
            type Line = (Pin<Box<$first>>, $(Pin<Box<$racer>>),*);

            #[allow(non_snake_case)]
            fn line_up(self) -> Self::Line {
                let ($first, $($racer),*) = self;
                (Box::pin($first), $(Box::pin($racer)),*)
            }
        }

        impl<T, $first: Future<Output = T>, $($racer: Future<Output = T>),*> Line
            for (Pin<Box<$first>>, $(Pin<Box<$racer>>),*)
        {
            type Output = T;

            #[allow(non_snake_case)]
            fn poll_in_order(&mut self, cx: &mut Context<'_>) -> Poll<T> {
                let ($first, $($racer),*) = self;
                if let Poll::Ready(output) = $first.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                $(if let Poll::Ready(output) = $racer.as_mut().poll(cx) {
                    return Poll::Ready(output);
                })*
                Poll::Pending
            }
        }
    )* };
}

tuples! { (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }
