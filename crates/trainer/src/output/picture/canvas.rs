//! An RGB pixel buffer that text and rectangles are drawn on.

use std::convert::Infallible;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::text::{Alignment, Text};

/// A white canvas of 8-bit RGB pixels.
#[derive(Clone, Debug)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![255; width * height * 3],
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    /// The canvas as a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels))
            .expect("an RGB buffer of the right size encodes in memory");
        bytes
    }

    /// Fills a rectangle; what lies outside the canvas is cut off.
    pub(super) fn fill(
        &mut self,
        left: usize,
        top: usize,
        width: usize,
        height: usize,
        color: Rgb888,
    ) {
        for y in top..(top + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                self.set(x, y, color);
            }
        }
    }

    /// Writes `text` with its baseline's left end at (`x`, `y`).
    pub(super) fn text(&mut self, text: &str, x: usize, y: usize, color: Rgb888) {
        self.aligned(text, x, y, color, Alignment::Left);
    }

    /// Writes `text` with its baseline's right end at (`x`, `y`).
    pub(super) fn text_right(&mut self, text: &str, x: usize, y: usize, color: Rgb888) {
        self.aligned(text, x, y, color, Alignment::Right);
    }

    /// Writes `text` with its baseline centred at (`x`, `y`).
    pub(super) fn text_centered(&mut self, text: &str, x: usize, y: usize, color: Rgb888) {
        self.aligned(text, x, y, color, Alignment::Center);
    }

    fn aligned(&mut self, text: &str, x: usize, y: usize, color: Rgb888, alignment: Alignment) {
        let style = MonoTextStyle::new(&FONT_6X10, color);
        let position = Point::new(x as i32, y as i32);
        let Ok(_) = Text::with_alignment(text, position, style, alignment).draw(self);
    }

    fn set(&mut self, x: usize, y: usize, color: Rgb888) {
        let at = (y * self.width + x) * 3;
        self.pixels[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
    }

    #[cfg(test)]
    pub(super) fn pixel(&self, x: usize, y: usize) -> Rgb888 {
        let at = (y * self.width + x) * 3;
        Rgb888::new(self.pixels[at], self.pixels[at + 1], self.pixels[at + 2])
    }

    #[cfg(test)]
    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(point, color) in pixels {
            let inside =
                |value: i32, size: usize| usize::try_from(value).ok().filter(|v| *v < size);
            if let (Some(x), Some(y)) = (inside(point.x, self.width), inside(point.y, self.height))
            {
                self.set(x, y, color);
            }
        }
        Ok(())
    }
}
