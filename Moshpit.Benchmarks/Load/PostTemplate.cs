using System.Globalization;
using System.Text;

namespace Moshpit.Benchmarks.Load;

/// <summary>A whole POST request that needs nothing but its message's number.</summary>
internal sealed class PostTemplate
{
    private readonly byte[] _bytes;
    private readonly int _payloadAt;

    /// <param name="server">For the Host field, and for what stands before the path.</param>
    /// <param name="path">The path of the request.</param>
    /// <param name="before">What stands in the body before the payload.</param>
    /// <param name="length">The payload's length.</param>
    /// <param name="after">What stands in the body after the payload.</param>
    public PostTemplate(LoadTarget server, string path, string before, int length, string after)
    {
        int bodyLength = before.Length + length + after.Length;
        string head = string.Create(
            CultureInfo.InvariantCulture,
            $"POST {server.Prefix}{path} HTTP/1.1\r\nHost: {server.Host}\r\n"
            + $"Content-Type: application/json\r\nContent-Length: {bodyLength}\r\n\r\n");
        _payloadAt = head.Length + before.Length;
        _bytes = new byte[head.Length + bodyLength];
        Encoding.ASCII.GetBytes(head + before, _bytes);
        Payload.Fill(_bytes.AsSpan(_payloadAt, length));
        Encoding.ASCII.GetBytes(after, _bytes.AsSpan(_payloadAt + length));
    }

    public int Length => _bytes.Length;

    /// <summary>Writes the request that carries message <paramref name="number"/>.</summary>
    public void Write(Span<byte> output, uint number)
    {
        _bytes.CopyTo(output);
        Payload.WriteNumber(output[_payloadAt..], number);
    }
}
