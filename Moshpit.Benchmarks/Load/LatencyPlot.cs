using System.Globalization;
using System.Net;
using System.Text;
using HdrHistogram;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// The distribution of latencies as an SVG picture. To the right each step is ten times rarer: 90 %, 99 %, 99.9 %, so that the tail,
/// which is what people notice, has most of the room.
/// </summary>
internal static class LatencyPlot
{
    private const double Width = 900;
    private const double Height = 480;
    private const double Left = 90;
    private const double Right = 40;
    private const double Top = 60;
    private const double Bottom = 70;
    private const int Steps = 400;

    public static string Draw(string server, string load, LongHistogram latency)
    {
        // Beyond the last decade that is drawn there are less than ten deliveries.
        int decades = Math.Clamp((int)Math.Floor(Math.Log10(latency.TotalCount)), 2, 7);
        var axis = new PlotAxis(latency.GetValueAtPercentile(100) / 1e6);
        var svg = new StringBuilder();
        svg.Append("<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\" ");
        Add(svg, $"viewBox=\"0 0 {Width} {Height}\">");
        Add(svg, $"<rect width=\"{Width}\" height=\"{Height}\" fill=\"#fff\"/>");
        Add(svg, $"<text x=\"{Left}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">Latency of {WebUtility.HtmlEncode(server)}</text>");
        Add(svg, $"<text x=\"{Left}\" y=\"45\">{WebUtility.HtmlEncode(load)}; {latency.TotalCount:N0} deliveries</text>");
        AddVerticalAxis(svg, axis);
        AddHorizontalAxis(svg, decades);
        AddCurve(svg, latency, decades, axis.Top);
        svg.Append("</svg>\n");
        return svg.ToString();
    }

    private static void AddVerticalAxis(StringBuilder svg, PlotAxis axis)
    {
        for (int i = 0; i <= axis.Steps; i++)
        {
            double value = axis.Tick(i);
            double y = Y(value, axis.Top);
            Add(svg, $"<line x1=\"{Left}\" y1=\"{y:0.#}\" x2=\"{Width - Right}\" y2=\"{y:0.#}\" stroke=\"#ddd\"/>");
            Add(svg, $"<text x=\"{Left - 8}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{value:0.######}</text>");
        }

        double middle = (Top + Height - Bottom) / 2;
        Add(svg, $"<text x=\"24\" y=\"{middle:0.#}\" text-anchor=\"middle\" transform=\"rotate(-90 24 {middle:0.#})\">");
        Add(svg, $"from publishing to delivery, ms</text>");
    }

    private static void AddHorizontalAxis(StringBuilder svg, int decades)
    {
        AddPercentile(svg, 0, decades);
        AddPercentile(svg, Math.Log10(2), decades);
        for (int i = 1; i <= decades; i++)
            AddPercentile(svg, i, decades);
        Add(svg, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 18}\" text-anchor=\"middle\">percentile of deliveries</text>");
    }

    private static void AddPercentile(StringBuilder svg, double nines, int decades)
    {
        double x = X(nines, decades);
        double percentile = 100 - 100 * Math.Pow(10, -nines);
        Add(svg, $"<line x1=\"{x:0.#}\" y1=\"{Top}\" x2=\"{x:0.#}\" y2=\"{Height - Bottom}\" stroke=\"#ddd\"/>");
        Add(svg, $"<text x=\"{x:0.#}\" y=\"{Height - Bottom + 20}\" text-anchor=\"middle\">{percentile:0.######} %</text>");
    }

    private static void AddCurve(StringBuilder svg, LongHistogram latency, int decades, double top)
    {
        svg.Append("<polyline fill=\"none\" stroke=\"#c2185b\" stroke-width=\"2\" points=\"");
        for (int i = 0; i <= Steps; i++)
        {
            double nines = (double)decades * i / Steps;
            double value = latency.GetValueAtPercentile(100 - 100 * Math.Pow(10, -nines)) / 1e6;
            svg.Append(CultureInfo.InvariantCulture, $"{X(nines, decades):0.#},{Y(value, top):0.#} ");
        }

        svg.Append("\"/>\n");
    }

    private static double X(double nines, int decades) => Left + (Width - Left - Right) * nines / decades;

    private static double Y(double value, double top) => Height - Bottom - (Height - Top - Bottom) * value / top;

    private static void Add(StringBuilder svg, FormattableString line) => svg.Append(FormattableString.Invariant(line)).Append('\n');
}
