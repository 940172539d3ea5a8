//! Hashes a password as often as it is told with the cost of sign-ins and nothing else, as a baseline: argon2id, 19 MiB, two passes.

#![expect(clippy::unwrap_used, reason = "an example that stops at the first surprise")]

use argon2::{Algorithm, Argon2, Params, Version};

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse::<u32>().ok()).unwrap_or(10);
    let hasher =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, Some(32)).unwrap());
    let mut sum = [0; 32];
    for _ in 0..count {
        hasher.hash_password_into(b"a password for one benchmark", b"sixteen bytes of", &mut sum).unwrap();
    }
    println!("{}", sum[0]);
}
