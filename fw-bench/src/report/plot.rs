//! CPU time by number of flows: a line for each contestant.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{Cell, Row, Section, Table};

const SIZE: (u32, u32) = (860, 460);
/// Well told apart, also by those who see red and green alike (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(150, 150, 150),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// The name of the workload that the plot shows.
const SHOWN: &str = "udp4";

/// Whether the plot shows this workload.
pub(super) fn is_shown(section: &Section) -> bool {
    section.name == SHOWN
        && section
            .tables
            .first()
            .is_some_and(|table| table.columns.len() > 2)
}

/// The plot of a section's first table, whose columns are numbers of flows.
pub(super) fn svg(section: &Section) -> Result<String> {
    let table = section
        .tables
        .first()
        .ok_or_else(|| anyhow!("nothing to plot"))?;
    let mut text = String::new();
    draw(&mut text, section, table).map_err(|error| anyhow!("can't draw the plot: {error}"))?;
    Ok(text)
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn draw(text: &mut String, section: &Section, table: &Table) -> Outcome {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let columns = &table.columns[1..];
    let rows: Vec<&Row> = table.rows.iter().collect();
    let highest = rows.iter().flat_map(|row| medians(row)).map(|(_, ns)| ns);
    let highest = highest.fold(1.0, f64::max);
    let last = columns.len() as f64 - 1.0;
    let mut chart = ChartBuilder::on(&root)
        .caption(&section.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, 0.0..highest * 1.05)?;
    chart
        .configure_mesh()
        .x_labels(columns.len())
        .x_label_formatter(&|x| columns.get(x.round() as usize).cloned().unwrap_or_default())
        .x_desc("established flows")
        .y_desc("CPU time of a packet, ns")
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (row, colour) in rows.into_iter().zip(COLOURS.into_iter().cycle()) {
        let line = LineSeries::new(medians(row), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)?
            .label(row.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    root.present()?;
    Ok(())
}

/// Column and median of each cell that has one.
fn medians(row: &Row) -> Vec<(f64, f64)> {
    let cells = row.cells.iter().enumerate();
    let points = cells.filter_map(|(i, cell)| match cell {
        Cell::Summary(summary) => Some((i as f64, summary.median)),
        _ => None,
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Summary;

    #[test]
    fn every_row_has_a_line_and_a_name() {
        let cell = |ns| {
            Cell::Summary(Summary {
                median: ns,
                min: ns,
                max: ns,
                count: 1,
            })
        };
        let mut table = Table::new("ns", ["", "1", "1 k"]);
        table.push("nft", vec![cell(600.0), cell(700.0)]);
        table.push("fwctl", vec![cell(150.0), Cell::None]);
        let section = Section {
            name: SHOWN.to_owned(),
            tables: vec![table],
            ..Section::default()
        };
        let svg = svg(&section).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("nft") && svg.contains("fwctl"));
        assert!(svg.matches("<polyline").count() >= 2, "{svg}");
    }
}
