namespace Moshpit.Server.Http;

/// <summary>The methods that have a meaning here; any other well-formed token is <see cref="Other"/> and is answered with 405.</summary>
internal enum HttpMethod : byte
{
    Other,
    Get,
    Head,
    Post,
    Options,
}
