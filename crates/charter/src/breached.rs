//! The file of breached passwords: SHA-1 hashes in order, a line each, as Have I Been Pwned publishes them (`HASH:COUNT`). It may hold 40 GB,
//! so nothing of it is kept in memory: a look-up halves the file some thirty-five times and reads a line at each step. The file is
//! opened for each look-up, so that a newer one can be moved into its place while the service runs; it is looked at as at start first.
//! Whatever tells that the file is not whole, or not in order, is an error: nobody hears that a password is not in it.

use charter_app::identity::breached::{BreachedPasswords, Sha1};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Hexadecimal digits of a hash.
const DIGITS: usize = 40;
/// Bytes of the longest line there can be: a hash, a colon, a count, the end.
const LINE_MAX: u64 = DIGITS as u64 + 1 + 20 + 2;
/// Places at which a file is looked at when it is checked at start.
pub const PLACES: u64 = 64;
/// The same when a person asks.
pub const MANY_PLACES: u64 = 4_096;

/// A file of breached passwords.
#[derive(Debug, Clone)]
pub struct BreachedFile {
    path: PathBuf,
    /// The file that was looked at.
    known: Arc<Mutex<Option<Known>>>,
}

/// Which file it is, and which writing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    place: (u64, u64),
    length: u64,
    written: (i64, i64),
}

/// A line: its hash, and the bytes from which and up to which it lies, its end included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    hash: Sha1,
    from: u64,
    to: u64,
}

/// The hash of a line, when it is one of such a file.
fn hash_of(line: &[u8]) -> Option<Sha1> {
    let (digits, rest) = line.split_at_checked(DIGITS)?;
    let is_count =
        |count: &[u8]| !count.is_empty() && count.len() <= 20 && count.iter().all(u8::is_ascii_digit);
    if !rest.is_empty() && !rest.strip_prefix(b":").is_some_and(is_count) {
        return None;
    }
    let mut hash = Sha1::default();
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |sign: u8| char::from(sign).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(hash)
}

fn read(file: &mut File, from: u64, bytes: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("byte {from} cannot be read: {error}");
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut window = Vec::new();
    file.take(bytes).read_to_end(&mut window).map_err(failed)?;
    Ok(window)
}

/// The line that holds a byte of the file.
fn line_at(file: &mut File, at: u64, length: u64) -> Result<Line, String> {
    let start = at.saturating_sub(LINE_MAX);
    let window = read(file, start, 2 * LINE_MAX)?;
    let within = usize::try_from(at - start).unwrap_or(usize::MAX);
    let strange = || format!("byte {at} lies in no line of the form HASH:COUNT");
    let (before, after) = window.split_at_checked(within).ok_or_else(strange)?;
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    // A line that begins before the window is longer than a line is.
    if begin == 0 && start > 0 {
        return Err(strange());
    }
    let (end, next) = match after.iter().position(|byte| *byte == b'\n') {
        Some(place) => (within + place, within + place + 1),
        None => (window.len(), window.len()),
    };
    let (from, to) = (start + begin as u64, start + next as u64);
    // Only the last line may have no end.
    if end == next && to != length {
        return Err(strange());
    }
    let line = window.get(begin..end).ok_or_else(strange)?;
    let hash = hash_of(line.strip_suffix(b"\r").unwrap_or(line)).ok_or_else(strange)?;
    Ok(Line { hash, from, to })
}

impl BreachedFile {
    /// The file of a path, once it is looked at in so many places.
    pub fn open(path: PathBuf, places: u64) -> Result<Self, String> {
        let this = Self { path, known: Arc::default() };
        this.file(places)?;
        Ok(this)
    }

    /// The file and its length, looked at when it is another than before.
    fn file(&self, places: u64) -> Result<(File, u64), String> {
        let failed = |error: std::io::Error| format!("it cannot be opened: {error}");
        let mut file = File::open(&self.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err("it is no file".to_owned());
        }
        let found = Known {
            place: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        };
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known != Some(found) {
            if let Some(before) = known.filter(|before| found.length < before.length) {
                return Err(format!(
                    "it has {} bytes where it had {}, as if it were cut off: put the whole file there, or start again if it is whole",
                    found.length, before.length
                ));
            }
            check(&mut file, found.length, places)?;
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
        Ok((file, found.length))
    }
}

/// Looks at the first line, the last one and so many between: each has the form, each is above those before.
fn check(file: &mut File, length: u64, places: u64) -> Result<(), String> {
    if length == 0 {
        return Err("it is empty".to_owned());
    }
    let mut last: Option<Line> = None;
    for place in 0..=places {
        let at = (u128::from(length - 1) * u128::from(place) / u128::from(places)) as u64;
        if last.is_some_and(|last| at < last.to) {
            continue;
        }
        let line = line_at(file, at, length)?;
        // With its neighbour, so that a file in another order does not come through by chance.
        let next = if line.to < length { Some(line_at(file, line.to, length)?) } else { None };
        for line in [Some(line), next].into_iter().flatten() {
            if let Some(before) = last
                && line.from != before.from
                && line.hash <= before.hash
            {
                return Err(unordered(&line, &before));
            }
            last = Some(line);
        }
    }
    Ok(())
}

fn unordered(line: &Line, before: &Line) -> String {
    format!(
        "the line at byte {} is not above the one at byte {}: the file has to be the one ordered by hash",
        line.from, before.from
    )
}

impl BreachedPasswords for BreachedFile {
    fn holds(&self, hash: &Sha1) -> Result<bool, String> {
        let named = |error: String| format!("{}: {error}", self.path.display());
        let (mut file, length) = self.file(PLACES).map_err(named)?;
        let (mut low, mut high) = (0, length);
        // The nearest lines so far on either side; whatever lies between them has to be between them in order too.
        let (mut below, mut above): (Option<Line>, Option<Line>) = (None, None);
        while low < high {
            let line = line_at(&mut file, low + (high - low) / 2, length).map_err(named)?;
            if let Some(below) = below.filter(|below| line.hash <= below.hash) {
                return Err(named(unordered(&line, &below)));
            }
            if let Some(above) = above.filter(|above| line.hash >= above.hash) {
                return Err(named(unordered(&above, &line)));
            }
            match line.hash.cmp(hash) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => (low, below) = (line.to, Some(line)),
                std::cmp::Ordering::Greater => (high, above) = (line.from, Some(line)),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> Sha1 {
        // Spread like hashes, and in order: the number leads.
        let mut hash = [0x5a; 20];
        hash[..8].copy_from_slice(&number.wrapping_mul(0x0010_0000_0000_0001).to_be_bytes());
        hash
    }

    fn hex(hash: &Sha1) -> String {
        hash.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("breached.txt");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn no_line_and_no_file_makes_the_reader_stumble() {
        let lines =
            format!("{}:7\r\n{}:12\n{}\n", hex(&hash(1)), hex(&hash(2)), hex(&hash(3)).to_lowercase());
        for text in charter_testkit::hostile::texts(&[&lines, &hex(&hash(4))], 1_000) {
            for line in text.lines() {
                if let Some(hash) = hash_of(line.as_bytes()) {
                    assert!(line.to_uppercase().starts_with(&hex(&hash)), "{line:?}");
                }
            }
            let (_folder, path) = written(&text);
            if let Ok(file) = BreachedFile::open(path, PLACES) {
                let _ = file.holds(&hash(2));
            }
        }
    }

    #[test]
    fn every_line_is_found_and_nothing_between() {
        for (end, last) in [("\r\n", "\r\n"), ("\n", ""), ("\n", "\n")] {
            for lines in [1_u64, 2, 3, 64, 1_000] {
                let text: Vec<String> = (0..lines)
                    .map(|number| format!("{}:{}", hex(&hash(2 * number + 1)), 7_u64.pow(number as u32 % 20)))
                    .collect();
                let (_folder, path) = written(&(text.join(end) + last));
                let file = BreachedFile::open(path, MANY_PLACES).unwrap();
                for number in 0..=2 * lines {
                    assert_eq!(file.holds(&hash(number)), Ok(number % 2 == 1), "{number} of {lines}");
                }
                assert_eq!(file.holds(&[0xff; 20]), Ok(false));
                assert_eq!(file.holds(&[0; 20]), Ok(false));
            }
        }
    }

    #[test]
    fn a_file_may_leave_the_counts_out_and_write_small_letters() {
        let text = format!("{}\n{}\n", hex(&hash(1)).to_lowercase(), hex(&hash(2)));
        let (_folder, path) = written(&text);
        let file = BreachedFile::open(path, PLACES).unwrap();
        assert_eq!((file.holds(&hash(1)), file.holds(&hash(3))), (Ok(true), Ok(false)));
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        let (one, two) = (hex(&hash(1)), hex(&hash(2)));
        for (text, why) in [
            (String::new(), "empty"),
            (format!("{two}:9\n{one}:1\n"), "ordered by hash"),
            (format!("{one}:9\n{one}:1\n"), "ordered by hash"),
            ("password\n123456\n".to_owned(), "HASH:COUNT"),
            (format!("{}:5\n", &one[..32]), "HASH:COUNT"),
            (format!("{one}:\n"), "HASH:COUNT"),
            (format!("{one}:1\n\n"), "HASH:COUNT"),
            (format!("{one};1\n"), "HASH:COUNT"),
            ("x".repeat(10_000), "HASH:COUNT"),
        ] {
            let (_folder, path) = written(&text);
            let told = BreachedFile::open(path, MANY_PLACES).unwrap_err();
            assert!(told.contains(why), "{told} of {text:.80}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(BreachedFile::open(folder.path().into(), PLACES).unwrap_err().contains("no file"));
        assert!(
            BreachedFile::open(folder.path().join("none"), PLACES).unwrap_err().contains("cannot be opened")
        );
    }

    #[test]
    fn a_file_that_goes_or_breaks_later_answers_nothing() {
        let (_folder, path) = written(&format!("{}:1\n{}:2\n", hex(&hash(1)), hex(&hash(3))));
        let file = BreachedFile::open(path.clone(), PLACES).unwrap();
        for broken in ["", "nonsense\n"] {
            std::fs::write(&path, broken).unwrap();
            assert!(file.holds(&hash(1)).unwrap_err().contains("breached.txt"));
        }
        // A newer one is moved into its place.
        let lines = |numbers: [u64; 3]| numbers.map(|number| format!("{}:1\n", hex(&hash(number)))).concat();
        std::fs::write(&path, lines([5, 7, 9])).unwrap();
        assert_eq!((file.holds(&hash(1)), file.holds(&hash(5))), (Ok(false), Ok(true)));
        // One that is cut off at the end of a line, and one in another order.
        std::fs::write(&path, &lines([5, 7, 9])[..lines([5, 7, 9]).len() / 3]).unwrap();
        assert!(file.holds(&hash(9)).unwrap_err().contains("cut off"));
        std::fs::write(&path, lines([7, 9, 5])).unwrap();
        assert!(file.holds(&hash(5)).unwrap_err().contains("ordered by hash"));
        std::fs::write(&path, lines([5, 7, 9])).unwrap();
        assert_eq!(file.holds(&hash(9)), Ok(true));
        std::fs::remove_file(&path).unwrap();
        assert!(file.holds(&hash(5)).is_err());
    }
}
