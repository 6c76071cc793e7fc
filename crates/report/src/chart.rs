//! Curves over the steps of a stage, as SVG.

use maud::{Markup, html};

use crate::number::figure;
use crate::scale::{Scale, drawable};

/// One picture of curves that share a unit.
pub(crate) struct Chart<'a> {
    /// The curves, the one drawn last on top.
    pub(crate) lines: Vec<Line<'a>>,
    /// A constant to compare with, and what it is.
    pub(crate) level: Option<(&'a str, f64)>,
    /// Whether a logarithmic axis would say more, where values span decades.
    pub(crate) may_be_logarithmic: bool,
}

/// A curve.
pub(crate) struct Line<'a> {
    /// How it is drawn.
    pub(crate) kind: Kind,
    /// Step and value; gaps where the value wasn't finite.
    pub(crate) points: &'a [(u64, Option<f64>)],
}

/// What a curve was measured on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Training batches: many points.
    Train,
    /// Validation examples: few points, each with a dot.
    Valid,
}

/// The drawing, in pixels at its natural size.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 190.0;
/// Where the curves are.
const FRAME: Frame = Frame {
    left: 46.0,
    top: 10.0,
    width: 304.0,
    height: 146.0,
};

struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

impl Chart<'_> {
    /// The drawing; none where no value is finite.
    pub(crate) fn draw(&self, label: &str) -> Option<Markup> {
        let values = || {
            let points = self.lines.iter().flat_map(|line| line.points);
            points.filter_map(|(_, value)| *value)
        };
        let level = self.level.filter(|(_, value)| drawable(*value));
        values().find(|value| drawable(*value))?;
        let y = Scale::roomy(
            values().chain(level.map(|(_, value)| value)),
            self.may_be_logarithmic,
        )?;
        let steps = self.lines.iter().flat_map(|line| line.points);
        let x = Scale::exactly(steps.map(|(step, _)| *step as f64).chain([0.0]))?;
        let axes = Axes { x, y };
        let title = match y.is_logarithmic() {
            true => format!("{label}, logarithmic, over optimizer steps"),
            false => format!("{label} over optimizer steps"),
        };
        Some(html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
                (axes.draw())
                @if let Some((name, value)) = level {
                    (axes.level(name, value))
                }
                @for line in &self.lines {
                    (axes.line(line))
                }
            }
        })
    }
}

struct Axes {
    x: Scale,
    y: Scale,
}

impl Axes {
    fn x(&self, step: f64) -> f64 {
        FRAME.left + FRAME.width * self.x.place(step)
    }

    fn y(&self, value: f64) -> f64 {
        FRAME.bottom() - FRAME.height * self.y.place(value)
    }

    fn draw(&self) -> Markup {
        let (bottom, right) = (FRAME.bottom(), FRAME.right());
        html! {
            @for (value, label) in self.y.ticks() {
                @let y = round(self.y(value));
                line class="grid" x1=(FRAME.left) x2=(right) y1=(y) y2=(y) {}
                text x=(FRAME.left - 6.0) y=(y + 3.5) text-anchor="end" { (label) }
            }
            @for (step, label) in self.x.ticks() {
                @let x = round(self.x(step));
                line class="axis" x1=(x) x2=(x) y1=(bottom) y2=(bottom + 4.0) {}
                text x=(x) y=(bottom + 16.0) text-anchor="middle" { (label) }
            }
            line class="axis" x1=(FRAME.left) x2=(right) y1=(bottom) y2=(bottom) {}
            text x=(right) y=(bottom + 30.0) text-anchor="end" { "steps" }
        }
    }

    fn level(&self, name: &str, value: f64) -> Markup {
        let y = round(self.y(value));
        // Below the line where there is no room above it.
        let text_y = if y < FRAME.top + 14.0 {
            y + 13.0
        } else {
            y - 5.0
        };
        html! {
            line class="level" x1=(FRAME.left) x2=(FRAME.right()) y1=(y) y2=(y) {}
            text class="level" x=(FRAME.right()) y=(round(text_y)) text-anchor="end" {
                (name) " " (figure(value))
            }
        }
    }

    fn line(&self, line: &Line) -> Markup {
        let class = match line.kind {
            Kind::Train => "train",
            Kind::Valid => "valid",
        };
        let runs = self.runs(line.points);
        // A point without a neighbour makes no line.
        let dots = runs
            .iter()
            .filter(|run| line.kind == Kind::Valid || run.len() == 1)
            .flatten();
        html! {
            path class=(class) d=(path(&runs)) {}
            @for (x, y) in dots {
                circle class=(class) cx=(x) cy=(y) r="2.5" {}
            }
        }
    }

    /// Places of the points between gaps. Of many in one column of pixels the first, the lowest, the highest and the last
    /// are kept, which look the same.
    fn runs(&self, points: &[(u64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
        let gaps = points.split(|(_, value)| !value.is_some_and(drawable));
        let mut runs = Vec::new();
        for run in gaps.filter(|run| !run.is_empty()) {
            let places: Vec<(f64, f64)> = run
                .iter()
                .filter_map(|(step, value)| Some((self.x(*step as f64), self.y((*value)?))))
                .map(|(x, y)| (round(x), round(y)))
                .collect();
            runs.push(thinned(&places));
        }
        runs
    }
}

fn thinned(places: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    for column in places.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        kept.extend(column.first());
        kept.extend(column.iter().min_by(by_height));
        kept.extend(column.iter().max_by(by_height));
        kept.extend(column.last());
    }
    kept
}

fn path(runs: &[Vec<(f64, f64)>]) -> String {
    let mut path = String::new();
    for run in runs {
        for (place, (x, y)) in run.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{command}{x} {y}"));
        }
    }
    path
}

/// Tenths of a pixel are enough.
fn round(at: f64) -> f64 {
    (at * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(points: &[(u64, Option<f64>)], level: Option<f64>, kind: Kind) -> Option<String> {
        let chart = Chart {
            lines: vec![Line { kind, points }],
            level: level.map(|level| ("chance", level)),
            may_be_logarithmic: true,
        };
        chart.draw("loss").map(Markup::into_string)
    }

    /// The numbers of a path's commands, in pairs.
    fn places(svg: &str) -> Vec<(f64, f64)> {
        let (_, rest) = svg.split_once(" d=\"").unwrap();
        let (path, _) = rest.split_once('"').unwrap();
        path.split(['M', 'L'])
            .filter(|place| !place.is_empty())
            .map(|place| {
                let (x, y) = place.split_once(' ').unwrap();
                (x.parse().unwrap(), y.parse().unwrap())
            })
            .collect()
    }

    proptest! {
        #[test]
        fn curves_stay_within_their_frame(
            values in prop::collection::vec((0u64..u64::MAX, prop::num::f32::ANY), 1..200),
            level in prop::num::f64::ANY,
        ) {
            let mut points: Vec<(u64, Option<f64>)> =
                values.iter().map(|(step, value)| (*step, Some(f64::from(*value)))).collect();
            points.sort_by_key(|(step, _)| *step);
            let finite = values.iter().filter(|(_, value)| value.is_finite()).count();
            let Some(svg) = draw(&points, Some(level), Kind::Train) else {
                prop_assert_eq!(finite, 0);
                return Ok(());
            };
            let places = places(&svg);
            prop_assert!(!places.is_empty() && places.len() <= finite);
            for (x, y) in places {
                prop_assert!((FRAME.left..=FRAME.right()).contains(&x), "{x}");
                prop_assert!((FRAME.top..=FRAME.bottom()).contains(&y), "{y}");
            }
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn higher_values_are_higher_up_and_later_ones_further_right() {
        let svg = draw(
            &[(1, Some(1.0)), (2, Some(3.0)), (4, Some(2.0))],
            None,
            Kind::Valid,
        )
        .unwrap();
        let [a, b, c] = places(&svg)[..] else {
            panic!("expected three places in {svg}")
        };
        assert!(a.0 < b.0 && b.0 < c.0 && c.0 == FRAME.right());
        assert!(b.1 < c.1 && c.1 < a.1);
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn a_value_that_is_not_finite_leaves_a_gap() {
        let points = [
            (1, Some(1.0)),
            (2, Some(2.0)),
            (3, None),
            (4, Some(f64::NAN)),
            (5, Some(1.0)),
            (6, Some(2.0)),
        ];
        let svg = draw(&points, Some(f64::INFINITY), Kind::Train).unwrap();
        assert_eq!(svg.matches('M').count(), 2);
        assert_eq!(places(&svg).len(), 4);
        assert_eq!(draw(&points[2..4], Some(1.0), Kind::Train), None);
    }

    #[test]
    fn a_single_point_is_a_dot() {
        for value in [0.0, 7.0, -1e-30] {
            let svg = draw(&[(400, Some(value))], None, Kind::Train).unwrap();
            assert_eq!(svg.matches("<circle").count(), 1);
        }
    }

    #[test]
    fn many_points_are_thinned_and_peaks_kept() {
        let mut points: Vec<_> = (1..=100_000).map(|step| (step, Some(1.0))).collect();
        points[54_321].1 = Some(2.0);
        let places = places(&draw(&points, None, Kind::Train).unwrap());
        assert!(places.len() < 1500, "{}", places.len());
        let peak = places
            .iter()
            .map(|place| place.1)
            .fold(f64::INFINITY, f64::min);
        let floor = places[0].1;
        assert!(floor - peak > 50.0);
    }
}
