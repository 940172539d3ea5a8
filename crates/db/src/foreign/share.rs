//! How much of the time a look may take of another system: it works and rests by turns.

use std::time::{Duration, Instant};

/// How long it works before it rests.
const TURN: Duration = Duration::from_millis(2);
/// The longest rest, whatever came before.
const REST_MAX: Duration = Duration::from_secs(1);

/// The percent of the time in which a look asks for rows; what is left belongs to the other system's own users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(100);

    /// So many percent, at least one.
    #[must_use]
    pub fn of(percent: u32) -> Self {
        Self(percent.clamp(1, 100))
    }
}

/// The turns of a statement.
pub(super) struct Turns {
    share: Share,
    began: Instant,
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long this thread worked, and nothing that is decided or kept"
)]
impl Turns {
    pub(super) fn begin(share: Share) -> Self {
        Self { share, began: Instant::now() }
    }

    /// How long to rest now, if at all.
    pub(super) fn rest(&self) -> Option<Duration> {
        if self.share == Share::WHOLE {
            return None;
        }
        rest(self.share, self.began.elapsed())
    }

    /// It was rested.
    pub(super) fn go_on(&mut self) {
        self.began = Instant::now();
    }
}

fn rest(Share(percent): Share, worked: Duration) -> Option<Duration> {
    (worked >= TURN).then(|| (worked * (100 - percent) / percent).min(REST_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_followed_by_a_rest_that_leaves_the_share() {
        let ms = Duration::from_millis;
        assert_eq!(rest(Share::of(10), ms(1)), None);
        assert_eq!(rest(Share::of(10), ms(4)), Some(ms(36)));
        assert_eq!(rest(Share::of(50), ms(4)), Some(ms(4)));
        assert_eq!(rest(Share::of(0), ms(2)), Some(ms(198)));
        assert_eq!(rest(Share::of(1), ms(5_000)), Some(REST_MAX), "whatever came before");
        assert_eq!(Turns::begin(Share::of(400)).rest(), None);
    }
}
