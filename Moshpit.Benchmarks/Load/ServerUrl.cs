namespace Moshpit.Benchmarks.Load;

/// <summary>
/// The URL of the server under load: <c>http://HOST[:PORT][/PREFIX]</c>, the same with <c>https</c>, or, for a Unix socket as in the
/// clients, <c>http://unix:/path/to.sock[:/PREFIX]</c>.
/// </summary>
internal sealed class ServerUrl
{
    /// <summary>What a URL looks like, for a message to the user.</summary>
    public const string Forms = "http://HOST:PORT, https://HOST or http://unix:/PATH/TO.SOCK, and may end with the prefix of all paths";

    private const string UnixStart = "http://unix:/";

    private readonly string _text;
    private readonly Uri _url;

    private ServerUrl(string text, Uri url, string? socketPath)
    {
        _text = text;
        _url = url;
        SocketPath = socketPath;
    }

    /// <summary>Whether the load speaks TLS.</summary>
    public bool IsSecure => _url.Scheme == Uri.UriSchemeHttps;

    /// <summary>The path of the Unix socket; null: TCP.</summary>
    public string? SocketPath { get; }

    /// <summary>Name or address of the server, an IPv6 address without brackets.</summary>
    public string Host => _url.IdnHost;

    public int Port => _url.Port;

    /// <summary>The value of the Host field: the authority without the scheme's own port (RFC 9110, section 7.2).</summary>
    public string HostField =>
        (_url.HostNameType == UriHostNameType.IPv6 ? _url.Host : _url.IdnHost) + (_url.IsDefaultPort ? "" : $":{_url.Port}");

    /// <summary>What stands before the path of each request: nothing, or a path that does not end with a slash.</summary>
    public string Prefix => _url.AbsolutePath.TrimEnd('/');

    /// <summary>Reads <paramref name="text"/>. Null: this is no such URL, or it has a user, a query or a fragment.</summary>
    public static ServerUrl? TryParse(string text)
    {
        string? socketPath = null;
        string address = text;
        if (text.StartsWith(UnixStart, StringComparison.OrdinalIgnoreCase))
        {
            string paths = text[(UnixStart.Length - 1)..];
            int split = paths.IndexOf(":/", StringComparison.Ordinal);
            socketPath = split < 0 ? paths : paths[..split];
            address = "http://localhost" + (split < 0 ? "" : paths[(split + 1)..]);
        }

        return Uri.TryCreate(address, UriKind.Absolute, out Uri? url)
            && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps)
            && url.Host.Length > 0 && url.UserInfo.Length == 0 && url.Query.Length == 0 && url.Fragment.Length == 0
            ? new ServerUrl(text, url, socketPath)
            : null;
    }

    /// <summary>The URL as the user wrote it.</summary>
    public override string ToString() => _text;
}
