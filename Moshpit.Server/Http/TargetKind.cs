namespace Moshpit.Server.Http;

/// <summary>What a request-target points at.</summary>
internal enum TargetKind : byte
{
    /// <summary>Well-formed, but no resource of ours.</summary>
    Unknown,

    /// <summary><c>/</c></summary>
    Root,

    /// <summary>One or more slashes followed by <c>[a-z0-9]+</c>, whether or not there is such a channel.</summary>
    Channel,

    /// <summary><c>*</c>, which only OPTIONS may ask for.</summary>
    Asterisk,
}
