using System.Buffers;
using System.Text;
using System.Text.Unicode;
using Moshpit.Server.Forms;
using Moshpit.Server.Sse;

namespace Moshpit.Tests.Fuzz;

/// <summary>A form: whatever it is, its data is good JSON; and it is the same whether its letters are escaped or not.</summary>
internal sealed class FormBodyTarget : FuzzTarget
{
    /// <summary>What one parameter adds in holes: <c>null,</c> for each index below its own, in all arrays but the outermost.</summary>
    private const int MostHoles = (FormKey.MaxDepth - 1) * (FormKey.MaxIndex + 1) * 5;

    private readonly ArrayBufferWriter<byte> _data = new();

    public override string Name => "form-body";

    public override int AllocationFactor => 8;

    public override string[] Dictionary =>
    [
        "&", "=", "[", "]", "[]", "[0]", "[1]", "[20]", "[21]", "[01]", "[999999999]", "[9999999999]", "%5B", "%5d", "]=", "=]", "+",
        "%20", "%", "%4",
        "%zz", "%00", "%0a", "%22", "%5c", "%3a+", ": ", ":+", "%ff", "%c3%a9", "%ed%a0%80", "data", "data=", "data[a]", "data[a][b]=c",
        "data[]=1&data[]=2",
        "token=0123456789abcdef0123456789abcdef", "cid=", "cid[]=", "data[a][b][c][d][e][f][g]=h", "&data=x&data=y", "[__proto__]",
        "\u00e2\u0080\u00a8", "%c2%85", "data[0][20]=",
        "[length]",
        "[toString]", "\u00c3\u00a9", "\u00ff", "[[", "]]", "data[a]=1&data[a][b]=2", "data[a]=1&data=x", "data=1&data[b]=2&data[]=3", "&&",
    ];

    public override string Check(byte[] input)
    {
        Result result = Parse(input);
        if (result.HasData)
        {
            EventData.RequireSafe(_data.WrittenSpan);
            Require(Utf8.IsValid(_data.WrittenSpan), "Broken UTF-8 came out of a form.");
        }

        Require(result.HasData == result.Data.Length > 0, "Something was written where there is no data.");
        int parameters = Math.Min(input.AsSpan().Count((byte)'&') + 1, FormBody.MaxParameters);
        Require(
            result.Data.Length <= JsonText.MostGrowth * input.Length + parameters * MostHoles + 1024,
            "A form became much longer than it was.");

        // A component with a bad escape or bad UTF-8 stays as it was sent, so that both must be good for this.
        if (!input.Contains((byte)'%') && Utf8.IsValid(input))
            RequireSame(Parse(Escaped(input)), result, "with every letter escaped");
        string shape = new([.. Encoding.Latin1.GetString(result.Data).Where(c => c is '{' or '[' or ',' or ']' or '}').Take(4)]);
        return $"{result.Token} {result.Cid} {result.HasData}\n{Magnitude(result.Data.Length)}\n{shape}";
    }

    public override void Probe(byte[] input)
    {
        _data.ResetWrittenCount();
        FormBody.Parse(input, _data, out _);
    }

    private Result Parse(byte[] input)
    {
        _data.ResetWrittenCount();
        FormBody.Parse(input, _data, out Message message);
        return new Result(message.TokenField, message.CidField, message.HasData, _data.WrittenSpan.ToArray());
    }

    private static byte[] Escaped(byte[] input)
    {
        var escaped = new List<byte>(input.Length * 3);
        foreach (byte octet in input)
        {
            if (octet is (byte)'&' or (byte)'=' or (byte)'[' or (byte)']')
                escaped.Add(octet);
            else
                escaped.AddRange(Encoding.ASCII.GetBytes(octet == '+' ? "%20" : $"%{octet:X2}"));
        }

        return [.. escaped];
    }

    private readonly record struct Result(IdField Token, IdField Cid, bool HasData, byte[] Data)
    {
        public bool Equals(Result other) =>
            (Token, Cid, HasData) == (other.Token, other.Cid, other.HasData) && Data.AsSpan().SequenceEqual(other.Data);

        public override int GetHashCode() => (int)Fnv.Hash(Data);

        public override string ToString() => $"{Token} {Cid} {HasData} {Encoding.UTF8.GetString(Data)}";
    }
}
