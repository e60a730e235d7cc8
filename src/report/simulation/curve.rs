//! The small curve below the picture for a page: how many nodes are away, over time.

use super::facts::away_over_time;
use super::gantt::Scale;
use super::svg::{Element, line, number, text};
use crate::simulate::trace::Trace;

/// Height of the curve.
pub const HEIGHT: f64 = 64.0;

/// The curve with its name and its scale, below `top`.
pub fn curve(trace: &Trace, scale: &Scale, top: f64) -> Element {
    let steps = away_over_time(trace);
    let most = steps.iter().map(|(_, away)| *away).max().unwrap_or(0);
    let base = top + HEIGHT;
    let height = |away: usize| base - HEIGHT * away as f64 / most.max(1) as f64;
    let mut path = format!("M{} {}", number(scale.left), number(base));
    for (time, away) in &steps {
        path += &format!("H{}V{}", number(scale.x(*time)), number(height(*away)));
    }
    path += &format!("H{}V{}", number(scale.right()), number(base));
    let mut group = Element::new("g").with(text(scale.left - 12.0, top + 4.0, "quiet small end", &most.to_string()));
    if most > 0 {
        group = group
            .with(text(scale.left - 12.0, base + 4.0, "quiet small end", "0"))
            .with(line((scale.left, top), (scale.right(), top), "most"))
            .with(Element::new("path").set("class", "curve").set("d", path));
    }
    group.with(line((scale.left, base), (scale.right(), base), "grid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::simulation::cases;

    #[test]
    fn steps_go_up_when_a_node_goes_and_down_when_it_is_back() {
        let trace = cases::failed();
        let scale = Scale::of(&trace, 100.0, 1200.0);
        let curve = curve(&trace, &scale, 10.0).to_string();
        assert!(curve.contains("d=\"M100 74H100V74H160V10H1180V74H1300V74\""), "{curve}");
    }

    #[test]
    fn where_no_node_goes_there_is_no_curve() {
        let trace = Trace::default();
        let curve = curve(&trace, &Scale::of(&trace, 0.0, 100.0), 0.0).to_string();
        assert!(!curve.contains("curve") && curve.contains(">0<"), "{curve}");
    }
}
