//! Writing the text format.

use std::fmt::Write;

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
}

/// One metric: its samples follow its HELP and TYPE lines, which a metric without samples lacks.
#[derive(Debug)]
pub(super) struct Metric<'a> {
    text: &'a mut String,
    name: String,
    head: Option<String>,
}

impl Text {
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Metric<'_> {
        self.metric(name, help, "gauge")
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Metric<'_> {
        self.metric(name, help, "counter")
    }

    pub(super) fn summary(&mut self, name: &str, help: &str) -> Metric<'_> {
        self.metric(name, help, "summary")
    }

    fn metric(&mut self, name: &str, help: &str, kind: &str) -> Metric<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Metric { text: &mut self.text, name: name.to_owned(), head: Some(head) }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Metric<'_> {
    pub(super) fn plain(&mut self, value: f64) {
        self.sample("", &[], value);
    }

    pub(super) fn labelled(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample("", labels, value);
    }

    pub(super) fn sum_and_count(&mut self, sum: f64, count: u64) {
        self.sample("_sum", &[], sum);
        self.sample("_count", &[], count as f64);
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        if let Some(head) = self.head.take() {
            self.text.push_str(&head);
        }
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.label(name, value);
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a string doesn't fail.
        let _ = writeln!(self.text, " {value}");
    }

    fn label(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.text.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                // Scrapers split on line ends of any kind; nothing else here is special.
                letter if letter.is_control() => self.text.push(' '),
                letter => self.text.push(letter),
            }
        }
        self.text.push('"');
    }
}
