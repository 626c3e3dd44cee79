//! A plot of when streams were closed, as SVG.

use std::fmt::Write as _;

use super::course::Course;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 60.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 16.0;

/// How many streams were closed by when, without the watch and with it.
pub fn plot(without: &Course, with: &Course) -> String {
    let ends = [without, with]
        .map(|course| course.closed.iter().fold(course.terminated, |a, b| a.max(*b)));
    let end = 1.03 * ends[0].max(ends[1]);
    let most = without.closed.len().max(with.closed.len()) as f64;
    let x = |at: f64| LEFT + at / end * (WIDTH - LEFT - RIGHT);
    let y = |count: f64| HEIGHT - BOTTOM - count / most * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" fill=\"#22201c\">Event streams of a target \
         that were closed, since it began to drain</text>\n"
    );
    for tick in ticks(end) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#625e56\">{tick} s</text>",
            x(tick),
            HEIGHT - BOTTOM + 18.0
        );
    }
    for count in ticks(most) {
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e4e0d8\"/>\
             <text x=\"{at:.1}\" y=\"{below:.1}\" text-anchor=\"end\" fill=\"#625e56\">{count}</text>",
            y = y(count),
            right = WIDTH - RIGHT,
            at = LEFT - 8.0,
            below = y(count) + 4.0,
        );
    }
    for (course, color) in [(without, "#a4452c"), (with, "#2b6776")] {
        let (at, top, bottom) = (x(course.terminated), TOP, HEIGHT - BOTTOM);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"{color}\" stroke-dasharray=\"4 4\"/>\n\
             <path d=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>",
            steps(&course.closed, end).map(|(at, count)| (x(at), y(count))).enumerate().fold(
                String::new(),
                |mut path, (nth, (x, y))| {
                    let sign = if nth == 0 { 'M' } else { 'L' };
                    let _ = write!(path, "{sign}{x:.1} {y:.1}");
                    path
                }
            )
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#625e56\"><tspan fill=\"#a4452c\">red: SIGTERM alone\
         </tspan> · <tspan fill=\"#2b6776\">blue: with the watch</tspan> · dashed: SIGTERM</text>\n</svg>",
        HEIGHT - 14.0
    );
    svg
}

/// Two hundred points of the count, so that a plot of thousands stays small.
fn steps(closed: &[f64], end: f64) -> impl Iterator<Item = (f64, f64)> {
    const POINTS: u32 = 200;
    (0..=POINTS).map(move |point| {
        let at = end * f64::from(point) / f64::from(POINTS);
        (at, closed.iter().filter(|closed| **closed <= at).count() as f64)
    })
}

/// Round numbers up to this one, about six of them.
fn ticks(most: f64) -> impl Iterator<Item = f64> {
    let size = 10_f64.powf((most / 6.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * size);
    let step = step.into_iter().find(|step| *step >= most / 6.0).unwrap_or(most);
    (0..=(most / step) as u32).map(move |tick| f64::from(tick) * step)
}
