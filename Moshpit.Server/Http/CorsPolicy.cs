using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// Which pages of other origins a browser lets use the server (the Fetch standard, CORS protocol): all, with any header field.
/// </summary>
internal sealed class CorsPolicy
{
    /// <summary>What every response says.</summary>
    public void Write(IBufferWriter<byte> output, HttpRequest request)
    {
        ReadOnlySpan<byte> origin = request[KeptField.Origin];
        output.Write("Access-Control-Allow-Origin: "u8);
        output.Write(origin.IsEmpty ? "*"u8 : origin);
        output.Write("\r\nAccess-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\nVary: Origin\r\n"u8);
    }

    /// <summary>What the answer to a preflight says besides.</summary>
    public void WritePreflight(IBufferWriter<byte> output, HttpRequest request)
    {
        output.Write("Access-Control-Max-Age: 86400\r\n"u8);
        ReadOnlySpan<byte> headers = request[KeptField.AccessControlRequestHeaders];
        if (headers.IsEmpty)
            return;
        output.Write("Access-Control-Allow-Headers: "u8);
        output.Write(headers);
        output.Write("\r\n"u8);
    }

    /// <summary>Field lines that a page may read from the response to it, besides those that it always may.</summary>
    public void WriteExposed(IBufferWriter<byte> output, ReadOnlySpan<byte> names)
    {
        output.Write("Access-Control-Expose-Headers: "u8);
        output.Write(names);
        output.Write("\r\n"u8);
    }
}
