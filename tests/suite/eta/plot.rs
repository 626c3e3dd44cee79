//! A plot of a run's predictions, as SVG.

use std::fmt::Write as _;

use super::record::Record;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 16.0;

/// When the run was predicted to end, over its time, beside when it did.
pub fn plot(record: &Record, title: &str) -> String {
    let end = record.end;
    let top = 1.6 * end;
    let x = |at: f64| LEFT + at / end * (WIDTH - LEFT - RIGHT);
    let y = |at: f64| HEIGHT - BOTTOM - at.min(top) / top * (HEIGHT - TOP - BOTTOM);
    let told = record.samples.iter();
    let told = told.filter_map(|one| Some((one.at, one.at + one.p50?, one.at + one.p90?)));
    let told: Vec<_> = told.collect();
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        points.fold(String::new(), |mut path, (at, then)| {
            let sign = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{sign}{:.1} {:.1}", x(at), y(then));
            path
        })
    };
    let median = path(&mut told.iter().map(|(at, p50, _)| (*at, *p50)));
    let upper = told.iter().map(|(at, _, p90)| (*at, *p90));
    let lower = told.iter().rev().map(|(at, p50, _)| (*at, *p50));
    let band = path(&mut upper.chain(lower));
    let funnel = |share: f64| path(&mut [(0.0, end + share * end), (end, end)].into_iter());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" fill=\"#22201c\">{title}</text>\n"
    );
    let step = nice(end / 6.0);
    let ticks = |most: f64| {
        let count = (most / step) as u32;
        (0..=count).map(move |tick| f64::from(tick) * step)
    };
    for at in ticks(end) {
        let (x, y) = (x(at), HEIGHT - BOTTOM + 18.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#625e56\">{at} s</text>"
        );
    }
    for then in ticks(top) {
        let (y, right) = (y(then), WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e4e0d8\"/>\
             <text x=\"{x:.1}\" y=\"{below:.1}\" text-anchor=\"end\" fill=\"#625e56\">{then} s</text>",
            x = LEFT - 8.0,
            below = y + 4.0,
        );
    }
    let (real, right) = (y(end), WIDTH - RIGHT);
    let _ = write!(
        svg,
        "<path d=\"{above}M{below}\" fill=\"none\" stroke=\"#a5a199\" stroke-dasharray=\"4 4\"/>\n\
         <path d=\"{band}Z\" fill=\"#8fb9c1\" fill-opacity=\"0.45\"/>\n\
         <path d=\"M{LEFT} {real:.1}H{right}\" stroke=\"#3a7048\" stroke-width=\"1.5\"/>\n\
         <path d=\"{median}\" fill=\"none\" stroke=\"#2b6776\" stroke-width=\"1.5\"/>\n\
         <text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#625e56\">predicted end over time, with the band to \
         the 90th percentile · green: the real end · dashed: 15 % of what was left</text>\n</svg>\n",
        above = funnel(0.15),
        below = funnel(-0.15).trim_start_matches('M'),
        x = LEFT,
        y = HEIGHT - 8.0,
    );
    svg
}

/// A round number not below this one.
fn nice(number: f64) -> f64 {
    let size = 10_f64.powf(number.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * size).into_iter().find(|n| *n >= number).unwrap_or(number)
}
