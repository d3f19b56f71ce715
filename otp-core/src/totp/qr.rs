//! A URI as a picture to scan (ISO/IEC 18004): error correction M, a quiet zone of four modules.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder, QRCode};

/// Modules that stay light around the symbol; scanners need them to find it.
const QUIET: usize = 4;
/// Pixels of a module in the PNG.
const SCALE: usize = 6;

/// A QR symbol.
pub struct QrPicture(QRCode);

impl std::fmt::Debug for QrPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QrPicture([redacted])")
    }
}

impl QrPicture {
    /// The symbol of a text; `None` when it is longer than any can be (2331 bytes).
    pub fn of(text: &str) -> Option<Self> {
        QRBuilder::new(text).ecl(ECL::M).build().ok().map(Self)
    }

    /// Modules of a side, the quiet zone included.
    pub fn side(&self) -> usize {
        self.0.size + 2 * QUIET
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = QUIET..QUIET + self.0.size;
        inside.contains(&x) && inside.contains(&y) && self.0[y - QUIET][x - QUIET].value()
    }

    /// A PNG file (ISO/IEC 15948) of one bit a pixel: small enough for a data URI.
    pub fn to_png(&self) -> Vec<u8> {
        let width = self.side() * SCALE;
        let mut pixels = Vec::with_capacity(width * (1 + width.div_ceil(8)));
        for y in 0..self.side() {
            let line = self.line_of_pixels(y);
            (0..SCALE).for_each(|_| pixels.extend_from_slice(&line));
        }
        let size = (width as u32).to_be_bytes();
        // One bit of grey, deflate, filters by line, not interlaced.
        let header = [&size[..], &size[..], &[1, 0, 0, 0, 0]].concat();
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        push_chunk(&mut file, b"IHDR", &header);
        push_chunk(&mut file, b"IDAT", &miniz_oxide::deflate::compress_to_vec_zlib(&pixels, 6));
        push_chunk(&mut file, b"IEND", &[]);
        file
    }

    /// The filter of the line, which is none, and its pixels; a light one is a set bit.
    fn line_of_pixels(&self, y: usize) -> Vec<u8> {
        let width = self.side() * SCALE;
        let mut line = vec![0; 1 + width.div_ceil(8)];
        for x in (0..width).filter(|x| !self.is_dark(x / SCALE, y)) {
            line[1 + x / 8] |= 0x80 >> (x % 8);
        }
        line
    }

    /// An SVG document (SVG 1.1), one unit a module: it stays sharp at any size.
    pub fn to_svg(&self) -> String {
        let side = self.side();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\""
        );
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let run = (x..side).take_while(|x| self.is_dark(*x, y)).count();
                if run > 0 {
                    let _ = write!(svg, "M{x} {y}h{run}v1h-{run}z");
                }
                x += run.max(1);
            }
        }
        svg.push_str("\"/></svg>");
        svg
    }
}

fn push_chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let checked_from = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(data);
    let checksum = crc32fast::hash(&file[checked_from..]);
    file.extend_from_slice(&checksum.to_be_bytes());
}
