//! Pictures of spectrograms: panels with axes in hertz and seconds, and a colour bar.

mod canvas;

use embedded_graphics::pixelcolor::Rgb888;

pub use canvas::Canvas;

/// Smallest drawn width and height of a panel's plot, in pixels; small spectrograms are
/// enlarged by whole factors until they reach it.
const MIN_PLOT: usize = 240;
const MARGIN_LEFT: usize = 46;
const MARGIN_RIGHT: usize = 62;
const MARGIN_TOP: usize = 24;
const MARGIN_BOTTOM: usize = 34;
const BAR_WIDTH: usize = 10;
const TICK: usize = 4;
/// Width of a character, in pixels.
const GLYPH_WIDTH: usize = 6;
const FOREGROUND: Rgb888 = Rgb888::new(30, 30, 30);
/// Bins that carry no value: hidden from the model, or padding.
const BLANK: Rgb888 = Rgb888::new(190, 190, 190);

/// What the axes of a spectrogram mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes {
    /// Frequency of the highest bin, in Hz.
    pub max_hz: f32,
    /// Time of the last frame, in seconds.
    pub max_s: f32,
}

/// One spectrogram to draw.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Text above the plot (ASCII).
    pub title: String,
    /// Values `[bins, frames]`, row-major; `None` is drawn grey.
    pub values: Vec<Option<f32>>,
    /// Rows: frequency bins, lowest first.
    pub bins: usize,
    /// Columns.
    pub frames: usize,
    /// Values at the two ends of the colour scale.
    pub range: (f32, f32),
}

/// Draws `rows` of panels below each other on one canvas. Rows may differ in length.
///
/// # Panics
/// If a panel has not `bins * frames` values, or there is no panel.
pub fn draw_panels(rows: &[Vec<Panel>], axes: Axes) -> Canvas {
    let panels = || rows.iter().flatten();
    assert!(panels().next().is_some(), "expected a panel, got none");
    for panel in panels() {
        assert_eq!(
            panel.values.len(),
            panel.bins * panel.frames,
            "expected bins * frames values in the panel {:?}",
            panel.title
        );
    }
    let outer = |panel: &Panel| {
        let (zoom_x, zoom_y) = zoom(panel);
        (
            MARGIN_LEFT + panel.frames * zoom_x + MARGIN_RIGHT,
            MARGIN_TOP + panel.bins * zoom_y + MARGIN_BOTTOM,
        )
    };
    let cell_width = panels().map(|panel| outer(panel).0).max().unwrap_or(0);
    let cell_height = panels().map(|panel| outer(panel).1).max().unwrap_or(0);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut canvas = Canvas::new(columns * cell_width, rows.len() * cell_height);
    for (row, panels) in rows.iter().enumerate() {
        for (column, panel) in panels.iter().enumerate() {
            let left = column * cell_width + MARGIN_LEFT;
            let top = row * cell_height + MARGIN_TOP;
            draw_panel(&mut canvas, panel, axes, left, top);
        }
    }
    canvas
}

/// Whole factors that bring frames and bins to at least [`MIN_PLOT`] pixels.
fn zoom(panel: &Panel) -> (usize, usize) {
    (
        MIN_PLOT.div_ceil(panel.frames).max(1),
        MIN_PLOT.div_ceil(panel.bins).max(1),
    )
}

fn draw_panel(canvas: &mut Canvas, panel: &Panel, axes: Axes, left: usize, top: usize) {
    let (zoom_x, zoom_y) = zoom(panel);
    let (width, height) = (panel.frames * zoom_x, panel.bins * zoom_y);
    let (low, high) = panel.range;
    for bin in 0..panel.bins {
        for frame in 0..panel.frames {
            let color = match panel.values[bin * panel.frames + frame] {
                Some(value) => heat((value - low) / (high - low).max(f32::MIN_POSITIVE)),
                None => BLANK,
            };
            let y = top + (panel.bins - 1 - bin) * zoom_y;
            canvas.fill(left + frame * zoom_x, y, zoom_x, zoom_y, color);
        }
    }
    let room = (width + MARGIN_RIGHT / 2) / GLYPH_WIDTH;
    canvas.text(&shortened(&panel.title, room), left, top - 8, FOREGROUND);
    draw_frequency_axis(canvas, axes, left, top, height);
    draw_time_axis(canvas, axes, left, top + height, width);
    draw_color_bar(canvas, panel.range, left + width + 8, top, height);
}

fn draw_frequency_axis(canvas: &mut Canvas, axes: Axes, left: usize, top: usize, height: usize) {
    for hz in ticks(axes.max_hz) {
        let y = top + height - 1 - (hz / axes.max_hz * (height - 1) as f32).round() as usize;
        canvas.fill(left - TICK, y, TICK, 1, FOREGROUND);
        let label = if axes.max_hz >= 2000.0 {
            format!("{}k", trim(hz / 1000.0))
        } else {
            trim(hz)
        };
        canvas.text_right(&label, left - TICK - 2, y + 3, FOREGROUND);
    }
    canvas.text_right("Hz", left - TICK - 2, top + height + TICK + 10, FOREGROUND);
}

fn draw_time_axis(canvas: &mut Canvas, axes: Axes, left: usize, bottom: usize, width: usize) {
    for seconds in ticks(axes.max_s) {
        let x = left + (seconds / axes.max_s * (width - 1) as f32).round() as usize;
        canvas.fill(x, bottom, 1, TICK, FOREGROUND);
        canvas.text_centered(&trim(seconds), x, bottom + TICK + 10, FOREGROUND);
    }
    canvas.text("s", left + width + 4, bottom + TICK + 10, FOREGROUND);
}

fn draw_color_bar(
    canvas: &mut Canvas,
    (low, high): (f32, f32),
    left: usize,
    top: usize,
    height: usize,
) {
    for y in 0..height {
        let level = 1.0 - y as f32 / (height - 1).max(1) as f32;
        canvas.fill(left, top + y, BAR_WIDTH, 1, heat(level));
    }
    canvas.text(
        &format!("{high:.1}"),
        left + BAR_WIDTH + 3,
        top + 8,
        FOREGROUND,
    );
    canvas.text(
        &format!("{low:.1}"),
        left + BAR_WIDTH + 3,
        top + height,
        FOREGROUND,
    );
}

/// Three to six round numbers from 0 up to `max`.
fn ticks(max: f32) -> Vec<f32> {
    if !(max > 0.0 && max.is_finite()) {
        return vec![];
    }
    let rough = max / 4.0;
    let decade = 10f32.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|factor| factor * decade)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    (0..)
        .map(|i| i as f32 * step)
        .take_while(|tick| *tick <= max * 1.0001)
        .collect()
}

/// At most `room` characters, the middle left out.
fn shortened(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_string();
    }
    let kept = room.saturating_sub(3);
    let head: String = text.chars().take(kept - kept / 2).collect();
    let tail: String = text.chars().skip(count - kept / 2).collect();
    format!("{head}...{tail}")
}

/// A number without needless zeros.
fn trim(value: f32) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Colour of a level in 0..1, dark to bright (Smith & van der Walt's "magma", 2015).
fn heat(level: f32) -> Rgb888 {
    let color = colorous::MAGMA.eval_continuous(f64::from(level.clamp(0.0, 1.0)));
    Rgb888::new(color.r, color.g, color.b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(bins: usize, frames: usize) -> Panel {
        Panel {
            title: "ramp".into(),
            values: (0..bins * frames)
                .map(|i| (i % 7 != 3).then_some((i / frames) as f32))
                .collect(),
            bins,
            frames,
            range: (0.0, bins as f32 - 1.0),
        }
    }

    const AXES: Axes = Axes {
        max_hz: 8192.0,
        max_s: 1.0,
    };

    #[test]
    fn low_bins_are_at_the_bottom_and_early_frames_at_the_left() {
        let mut panel = panel(240, 300);
        panel.values = vec![Some(0.0); 240 * 300];
        // One bright bin: the second-lowest, fourth frame.
        panel.values[300 + 3] = Some(239.0);
        let canvas = draw_panels(&[vec![panel]], AXES);
        let pixel = canvas.pixel(MARGIN_LEFT + 3, MARGIN_TOP + 238);
        assert_eq!(pixel, heat(1.0));
        assert_eq!(canvas.pixel(MARGIN_LEFT + 3, MARGIN_TOP + 1), heat(0.0));
    }

    #[test]
    fn missing_values_are_grey() {
        let canvas = draw_panels(&[vec![panel(240, 240)]], AXES);
        assert_eq!(canvas.pixel(MARGIN_LEFT + 3, MARGIN_TOP + 239), BLANK);
    }

    #[test]
    fn a_png_holds_the_canvas_pixel_for_pixel() {
        let canvas = draw_panels(
            &[vec![panel(9, 13), panel(9, 13)], vec![panel(9, 13)]],
            AXES,
        );
        let bytes = canvas.to_png();
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), canvas.size());
        assert_eq!(pixels, canvas.pixels());
    }

    #[test]
    fn long_titles_keep_both_ends() {
        assert_eq!(shortened("input: kick.wav", 40), "input: kick.wav");
        let long = shortened("input: a/very/long/way/to/kick.wav", 20);
        assert_eq!(long, "input: a/...kick.wav");
    }

    #[test]
    fn tiny_and_huge_axes_have_round_ticks() {
        assert_eq!(ticks(8192.0), [0.0, 2500.0, 5000.0, 7500.0]);
        assert_eq!(ticks(1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert!(ticks(0.0).is_empty());
        for max in [0.003f32, 0.7, 3.0, 44.0, 22050.0, 1e6] {
            assert!(
                (3..=6).contains(&ticks(max).len()),
                "{max}: {:?}",
                ticks(max)
            );
        }
    }
}
