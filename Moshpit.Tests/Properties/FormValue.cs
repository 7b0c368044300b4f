using System.Text;
using CsCheck;

namespace Moshpit.Tests.Properties;

/// <summary>
/// A value as the original JavaScript client posts it: <c>qs.stringify</c> (2.4) writes each scalar with the path to it. What has no scalar
/// in it is not written at all.
/// </summary>
internal abstract record FormValue
{
    // Brackets in a name and names that are numbers don't survive a form: they mean something there.
    private static readonly Gen<string> Name = Properties.Any.Text.Where(name =>
        name.Length > 0 && name.AsSpan().IndexOfAny("[]") < 0 && !int.TryParse(name, out _));

    /// <summary>Few enough levels and parameters that all of it is looked at.</summary>
    public static readonly Gen<FormValue> Any = OfDepth(4);

    /// <summary>What comes out of the form; null where nothing of the value went into it.</summary>
    public string? Json => Write(inArray: false);

    /// <summary>As <see cref="Json"/>. Within an array, at any depth, arrays keep their holes.</summary>
    public abstract string? Write(bool inArray);

    /// <summary>The parameters, each with an ampersand before it.</summary>
    public abstract string Stringify(string path, bool brackets, bool plus);

    private static Gen<FormValue> OfDepth(int depth)
    {
        Gen<FormValue> scalar = Properties.Any.Text.Select(text => (FormValue)new Scalar(text));
        if (depth == 0)
            return scalar;
        Gen<FormValue> inner = OfDepth(depth - 1);
        return Gen.Frequency(
            (2, scalar),
            (1, inner.Array[0, depth == 1 ? 21 : 2].Select(elements => (FormValue)new List(elements))),
            (2, Gen.Select(Name, inner).Array[0, 3].Select(named => (FormValue)new Members([.. named.DistinctBy(n => n.Item1)]))));
    }

    private static string Escape(string text, bool brackets, bool plus)
    {
        string escaped = Uri.EscapeDataString(text);
        if (brackets)
            escaped = escaped.Replace("%5B", "[").Replace("%5D", "]");
        return plus ? escaped.Replace("%20", "+") : escaped;
    }

    private sealed record Scalar(string Text) : FormValue
    {
        public override string Write(bool inArray)
        {
            var json = new StringBuilder("\"");
            foreach (char c in Text)
                json.Append(c switch { '"' => "\\\"", '\\' => "\\\\", '\n' => "\\n", < ' ' => $"\\u{(int)c:x4}", _ => c.ToString() });
            return json.Append('"').ToString();
        }

        public override string Stringify(string path, bool brackets, bool plus) =>
            $"&{Escape(path, brackets, plus)}={Escape(Text, brackets: false, plus)}";
    }

    private sealed record List(FormValue[] Elements) : FormValue
    {
        public override string? Write(bool inArray)
        {
            string?[] elements = [.. Elements.Select(element => element.Write(inArray: true))];
            int length = Array.FindLastIndex(elements, json => json is not null) + 1;
            IEnumerable<string> written = inArray ? elements[..length].Select(json => json ?? "null") : elements.OfType<string>();
            return length == 0 ? null : $"[{string.Join(',', written)}]";
        }

        public override string Stringify(string path, bool brackets, bool plus) =>
            string.Concat(Elements.Select((element, index) => element.Stringify($"{path}[{index}]", brackets, plus)));
    }

    private sealed record Members((string Name, FormValue Value)[] Named) : FormValue
    {
        public override string? Write(bool inArray)
        {
            string[] members =
            [
                .. Named.Select(item => (item.Name, Json: item.Value.Write(inArray))).Where(item => item.Json is not null)
                    .Select(item => $"{new Scalar(item.Name).Json}:{item.Json}"),
            ];
            return members.Length == 0 ? null : $"{{{string.Join(',', members)}}}";
        }

        public override string Stringify(string path, bool brackets, bool plus) =>
            string.Concat(Named.Select(member => member.Value.Stringify($"{path}[{member.Name}]", brackets, plus)));
    }
}
