//! Time as microseconds of UTC since 1970, and windows `[from, to)`.

use core::fmt;
use core::str::FromStr;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time: RFC 3339 with an offset is expected, for example 2026-03-01T08:30:00Z")
    }
}

impl core::error::Error for NotATime {}

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

impl Timestamp {
    /// The earliest instant that has a text form (year 0001).
    pub const MIN: Self = Self(-62_135_596_800 * MICROS);
    /// The latest instant that has a text form (end of year 9999).
    pub const MAX: Self = Self(253_402_300_799 * MICROS + 999_999);

    /// An instant from whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * MICROS)
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant moved by whole seconds; stays at the end of time rather than wrapping.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }
}

/// Days since 1970-01-01 of a civil date (proleptic Gregorian).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = self.0.clamp(Self::MIN.0, Self::MAX.0);
        let seconds = clamped.div_euclid(MICROS);
        let micros = clamped.rem_euclid(MICROS);
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
        let of_day = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() > 40 {
        return None;
    }
    let separator = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(separator(4, b"-")
        && separator(7, b"-")
        && separator(10, b"Tt ")
        && separator(13, b":")
        && separator(16, b":"))
    {
        return None;
    }
    let year = digits(bytes.get(0..4)?)?;
    let month = digits(bytes.get(5..7)?)?;
    let day = digits(bytes.get(8..10)?)?;
    let hour = digits(bytes.get(11..13)?)?;
    let minute = digits(bytes.get(14..16)?)?;
    let second = digits(bytes.get(17..19)?)?;
    let mut rest = bytes.get(19..)?;
    let mut micros = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, tail) = after.split_at_checked(count)?;
        if count == 0 || count > 9 {
            return None;
        }
        let kept = fraction.get(..count.min(6))?;
        micros = digits(kept)? * 10i64.pow(6 - kept.len() as u32);
        rest = tail;
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = digits(&[*h1, *h2])?;
            let minutes = digits(&[*m1, *m2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let month_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > month_days || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds =
        days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
    let instant = Timestamp(seconds * MICROS + micros);
    (Timestamp::MIN..=Timestamp::MAX).contains(&instant).then_some(instant)
}

impl FromStr for Timestamp {
    type Err = NotATime;
    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse_rfc3339(text).ok_or(NotATime)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A window `[from, to)`; a missing end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Window {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// A window whose end is not after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowEndsBeforeItStarts;

impl fmt::Display for WindowEndsBeforeItStarts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("window ends before it starts: `to` must be later than `from`")
    }
}

impl core::error::Error for WindowEndsBeforeItStarts {}

impl Window {
    /// Open at both ends: live always.
    pub const ALWAYS: Self = Self { from: None, to: None };

    /// A window that ends after it starts.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, WindowEndsBeforeItStarts> {
        match (from, to) {
            (Some(from), Some(to)) if to <= from => Err(WindowEndsBeforeItStarts),
            _ => Ok(Self { from, to }),
        }
    }

    /// First instant inside, if it has a start.
    pub const fn from(&self) -> Option<Timestamp> {
        self.from
    }

    /// First instant no longer inside, if it has an end.
    pub const fn to(&self) -> Option<Timestamp> {
        self.to
    }

    /// Whether `now` lies inside.
    #[inline]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.to.is_none_or(|to| now < to)
    }

    /// Whether it ended at or before `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.to.is_some_and(|to| to <= now)
    }

    /// Live always.
    pub const fn is_always(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// The next instant after `now` at which this window opens or closes.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        [self.from, self.to].into_iter().flatten().filter(|edge| *edge > now).min()
    }
}
