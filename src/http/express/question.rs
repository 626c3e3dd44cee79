//! A question that the express lane understands, and only that.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Alive,
    Ready,
}

/// A whole request without a body, and nothing behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) asks: Asks,
    /// Whether the connection ends with the answer.
    pub(super) closes: bool,
}

impl Question {
    /// `None` for whatever is unusual: a server that knows all of HTTP decides on that.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let head = text.strip_suffix(b"\r\n\r\n")?;
        let mut lines = head.split(|byte| *byte == b'\n');
        let asks = match lines.next()? {
            b"GET /ready HTTP/1.1\r" => Asks::Ready,
            b"GET /alive HTTP/1.1\r" => Asks::Alive,
            _ => return None,
        };
        let mut question = Question { asks, closes: false };
        let (mut hosts, mut lines) = (0, lines.peekable());
        while let Some(line) = lines.next() {
            // The last one's end was cut off above.
            let line = match lines.peek() {
                Some(_) => line.strip_suffix(b"\r")?,
                None => line,
            };
            let (name, value) = header(line)?;
            if name.eq_ignore_ascii_case(b"host") {
                hosts += 1;
            } else if name.eq_ignore_ascii_case(b"connection") {
                question.closes |= closes(value)?;
            } else if WEIGHTY.iter().any(|other| name.eq_ignore_ascii_case(other)) {
                return None;
            }
        }
        // RFC 9112, 3.2: exactly one.
        (hosts == 1).then_some(question)
    }
}

/// By which a request may have a body, or wants something of its own.
const WEIGHTY: [&[u8]; 4] = [b"content-length", b"transfer-encoding", b"expect", b"upgrade"];

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_name = !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let is_value = value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
    (is_name && is_value).then_some((name, value))
}

fn closes(value: &[u8]) -> Option<bool> {
    let value = value.trim_ascii();
    if value.eq_ignore_ascii_case(b"close") {
        return Some(true);
    }
    value.eq_ignore_ascii_case(b"keep-alive").then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(text: &str) -> Option<(Asks, bool)> {
        Question::of(text.as_bytes()).map(|question| (question.asks, question.closes))
    }

    #[test]
    fn what_load_balancers_and_probes_ask_is_understood() {
        let kept = "GET /ready HTTP/1.1\r\nHost: 10.0.0.7:9002\r\n\r\n";
        assert_eq!(asks(kept), Some((Asks::Ready, false)));
        let alb = "GET /ready HTTP/1.1\r\nHost: 10.0.0.7:9002\r\nConnection: close\r\n\
                   User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n";
        assert_eq!(asks(alb), Some((Asks::Ready, true)));
        let alive = "GET /alive HTTP/1.1\r\nhost:a\r\nCONNECTION: Keep-Alive\r\n\r\n";
        assert_eq!(asks(alive), Some((Asks::Alive, false)));
    }

    #[test]
    fn what_is_unusual_is_left_to_the_server() {
        for text in [
            "",
            "\r\n\r\n",
            "GET /ready HTTP/1.1\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET /ready HTTP/1.0\r\nHost: a\r\n\r\n",
            "HEAD /ready HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /ready?a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /progress HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\nB: c\r\n\r\n",
            "GET /ready HTTP/1.1\nHost: a\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            "GET /ready HTTP/1.1\r\nHost: a\r\n\r\nGET /ready HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(asks(text), None, "{text:?}");
        }
    }
}
