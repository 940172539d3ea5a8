//! Texts as pictures that a camera reads (QR codes): as SVG for a page, as signs for a terminal.

use charter_kernel::{Problem, ProblemKind};
use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// Pixels of a picture's side, at least.
const SIDE: u32 = 240;

fn code(text: &str) -> Result<QrCode, Problem> {
    QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| {
        Problem::new(ProblemKind::Internal, format!("a text cannot be drawn for a camera: {error}"))
    })
}

/// A picture of its own, dark on light whatever is around it.
pub fn svg(text: &str) -> Result<String, Problem> {
    let drawn = code(text)?
        .render::<svg::Color<'_>>()
        .min_dimensions(SIDE, SIDE)
        .dark_color(svg::Color("#000000"))
        .light_color(svg::Color("#ffffff"))
        .build();
    // What stands before the element is for files.
    Ok(drawn.find("<svg").and_then(|at| drawn.get(at..)).map(str::to_owned).unwrap_or(drawn))
}

/// Lines for a terminal, with light signs where the picture is light: most terminals are dark.
pub fn lines(text: &str) -> Result<String, Problem> {
    let drawn = code(text)?
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build();
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "otpauth://totp/charter.example:ann%40toys.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=charter.example";

    #[test]
    fn a_picture_is_one_element_without_style_and_script() {
        let picture = svg(URI).unwrap();
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"), "{picture:.80}");
        assert!(!picture.contains("style") && !picture.contains("script") && !picture.contains("JBSW"));
        assert!(picture.contains("#ffffff") && picture.contains("#000000"));
    }

    #[test]
    fn a_terminal_gets_a_square_with_a_quiet_border() {
        let drawn = lines(URI).unwrap();
        let widths: Vec<usize> = drawn.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]) && widths[0].abs_diff(2 * widths.len()) <= 1);
        assert!(drawn.starts_with("\u{2588}\u{2588}\u{2588}\u{2588}"), "the border is light");
    }
}
