//! Whether a maintenance window is open, and when the next one opens. Pure: time and zone data come from outside the clock.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan};

use super::{Day, Window};

/// Whether anything may be started now.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowState {
    /// A window is open, at least until this moment; None: there are no windows, it is always open.
    Open(Option<Timestamp>),
    /// All are closed; the next one opens then.
    Closed(Option<Timestamp>),
}

/// A window that cannot be understood.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("spec.rollout.windows[{index}].{field}: {value:?} is not {expected}")]
pub struct WindowError {
    /// Which window.
    pub index: usize,
    /// Which field of it.
    pub field: &'static str,
    /// What it says.
    pub value: String,
    /// What would be right.
    pub expected: &'static str,
}

/// The state of all windows at `now`.
///
/// # Errors
/// The first window that cannot be understood.
pub fn state(windows: &[Window], now: Timestamp) -> Result<WindowState, WindowError> {
    if windows.is_empty() {
        return Ok(WindowState::Open(None));
    }
    let mut open_until = None;
    let mut next = None;
    for (index, window) in windows.iter().enumerate() {
        let window = Parsed::new(index, window)?;
        for start in window.starts_around(now) {
            let Ok(end) = start.checked_add(window.duration) else { continue };
            if start <= now && now < end {
                open_until = open_until.max(Some(end));
            } else if start > now && next.is_none_or(|earliest| start < earliest) {
                next = Some(start);
            }
        }
    }
    Ok(match open_until {
        Some(end) => WindowState::Open(Some(end)),
        None => WindowState::Closed(next),
    })
}

/// A window whose words have been understood.
struct Parsed {
    start: Time,
    duration: Span,
    days: Vec<Weekday>,
    zone: TimeZone,
}

impl Parsed {
    fn new(index: usize, window: &Window) -> Result<Self, WindowError> {
        let error = |field, value: &str, expected| WindowError { index, field, value: value.into(), expected };
        let start =
            Time::strptime("%H:%M", &window.start).map_err(|_| error("start", &window.start, "a time of day, for example 22:00"))?;
        let duration = humantime::parse_duration(&window.duration)
            .ok()
            .filter(|duration| (60..=168 * 3600).contains(&duration.as_secs()))
            .ok_or_else(|| error("duration", &window.duration, "a duration between 1m and 168h, for example 4h or 90m"))?;
        let zone = match window.time_zone.as_deref() {
            None => TimeZone::UTC,
            // The bundled data, not the machine's: the same manifest means the same everywhere.
            Some(name) => TimeZoneDatabase::bundled()
                .get(name)
                .map_err(|_| error("timeZone", name, "a time zone of the IANA database, for example Europe/Berlin or UTC"))?,
        };
        Ok(Self {
            start,
            duration: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).seconds(),
            days: window.days.iter().map(|day| day.weekday()).collect(),
            zone,
        })
    }

    /// The openings from eight days before to eight days after: the longest window is seven days, the rarest is weekly.
    fn starts_around(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let today = now.to_zoned(self.zone.clone()).date();
        (-8..=8).filter_map(move |offset: i64| {
            let date: Date = today.checked_add(offset.days()).ok()?;
            if !self.days.is_empty() && !self.days.contains(&date.weekday()) {
                return None;
            }
            // A start inside a spring-forward gap opens after the gap, one that happens twice at its first time.
            Some(date.to_datetime(self.start).to_zoned(self.zone.clone()).ok()?.timestamp())
        })
    }
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(start: &str, duration: &str, days: &[Day], zone: Option<&str>) -> Window {
        Window { start: start.into(), duration: duration.into(), days: days.to_vec(), time_zone: zone.map(Into::into) }
    }

    #[test]
    fn no_window_is_always_open() {
        assert_eq!(state(&[], at("2026-11-21T04:00:00Z")), Ok(WindowState::Open(None)));
    }

    #[test]
    fn a_window_belongs_to_the_day_on_which_it_starts_even_over_midnight() {
        // 2026-11-21 is a Saturday.
        let saturday = [window("22:00", "4h", &[Day::Sat], None)];
        for (now, expected) in [
            ("2026-11-21T21:59:59Z", WindowState::Closed(Some(at("2026-11-21T22:00:00Z")))),
            ("2026-11-21T22:00:00Z", WindowState::Open(Some(at("2026-11-22T02:00:00Z")))),
            ("2026-11-22T01:59:59Z", WindowState::Open(Some(at("2026-11-22T02:00:00Z")))),
            ("2026-11-22T02:00:00Z", WindowState::Closed(Some(at("2026-11-28T22:00:00Z")))),
            ("2026-11-22T22:30:00Z", WindowState::Closed(Some(at("2026-11-28T22:00:00Z")))),
        ] {
            assert_eq!(state(&saturday, at(now)), Ok(expected), "{now}");
        }
    }

    #[test]
    fn times_are_those_of_the_zone_also_across_daylight_saving() {
        let berlin = [window("02:30", "1h", &[], Some("Europe/Berlin"))];
        // 2026-03-29: 02:00 becomes 03:00 in Berlin; the window opens after the gap, at 03:30 local, 01:30 UTC.
        assert_eq!(state(&berlin, at("2026-03-29T01:29:00Z")), Ok(WindowState::Closed(Some(at("2026-03-29T01:30:00Z")))));
        assert_eq!(state(&berlin, at("2026-03-29T01:30:00Z")), Ok(WindowState::Open(Some(at("2026-03-29T02:30:00Z")))));
        // Winter: 02:30 local is 01:30 UTC; summer: 00:30 UTC.
        assert!(matches!(state(&berlin, at("2026-01-10T01:45:00Z")), Ok(WindowState::Open(_))));
        assert!(matches!(state(&berlin, at("2026-07-10T00:45:00Z")), Ok(WindowState::Open(_))));
        assert!(matches!(state(&berlin, at("2026-07-10T01:45:00Z")), Ok(WindowState::Closed(_))));
    }

    #[test]
    fn the_longest_of_several_open_windows_counts_and_the_soonest_of_the_closed() {
        let windows = [window("10:00", "1h", &[], None), window("10:30", "2h", &[], None), window("20:00", "10m", &[], None)];
        assert_eq!(state(&windows, at("2026-11-21T10:45:00Z")), Ok(WindowState::Open(Some(at("2026-11-21T12:30:00Z")))));
        assert_eq!(state(&windows, at("2026-11-21T13:00:00Z")), Ok(WindowState::Closed(Some(at("2026-11-21T20:00:00Z")))));
    }

    #[test]
    fn a_week_long_window_is_open_on_its_last_day() {
        let week = [window("00:00", "168h", &[Day::Mon], None)];
        assert!(matches!(state(&week, at("2026-11-22T23:59:00Z")), Ok(WindowState::Open(_))));
    }

    #[test]
    fn what_cannot_be_understood_names_window_field_value_and_remedy() {
        for (bad, message) in [
            (window("25:00", "1h", &[], None), "spec.rollout.windows[1].start: \"25:00\" is not a time of day, for example 22:00"),
            (window("22:00", "0s", &[], None), "spec.rollout.windows[1].duration: \"0s\" is not a duration between 1m and 168h"),
            (window("22:00", "1h", &[], Some("Mars/Base")), "spec.rollout.windows[1].timeZone: \"Mars/Base\" is not a time zone"),
        ] {
            let error = state(&[window("22:00", "1h", &[], None), bad], at("2026-11-21T10:00:00Z")).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}
