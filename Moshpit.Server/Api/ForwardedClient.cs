using System.Net;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;

namespace Moshpit.Server.Api;

/// <summary>
/// For which client a named proxy speaks: the last one in the list that is not itself a named proxy. What stands before it was said by a
/// client, which need not be believed.
/// </summary>
/// <remarks>
/// Most proxies (nginx, Caddy, Envoy) write X-Forwarded-For and pass a client's Forwarded on; HAProxy can be told to do the reverse. So of
/// the two fields the one that the client wrote can't be told from the other, and if they differ, neither is believed. A request whose
/// client is not known counts against the proxy itself. It never has no limits: otherwise a client could get rid of its own by sending what
/// its proxy passes on.
/// </remarks>
internal static class ForwardedClient
{
    /// <summary>
    /// Where a request counts that came from <paramref name="proxy"/> (null: a Unix socket), held until
    /// <see cref="AddressLimits.Release"/>.
    /// </summary>
    public static AddressUsage Hold(AddressLimits limits, IPAddress? proxy, HttpRequest request)
    {
        IPAddress? client = Find(limits, request[KeptField.XForwardedFor], request[KeptField.Forwarded]);
        return client is null ? limits.HoldProxy(proxy) : limits.HoldClient(client);
    }

    /// <summary>The client that both fields name, or the only one that there is; null if they name none.</summary>
    public static IPAddress? Find(AddressLimits limits, ReadOnlySpan<byte> forwardedFor, ReadOnlySpan<byte> forwarded)
    {
        IPAddress? client = forwardedFor.IsEmpty ? FindInForwarded(limits, forwarded) : FindInForwardedFor(limits, forwardedFor);
        bool differs = client is not null && !forwardedFor.IsEmpty && !forwarded.IsEmpty
            && !(FindInForwarded(limits, forwarded) is { } other && AddressLimits.AreOneClient(client, other));

        // Loopback is the proxy's own machine, and says no more than the proxy's address does.
        return client is null || differs || AddressLimits.IsLoopback(client) ? null : client;
    }

    // From the end: X-Forwarded-For has no quotes, so a comma is always one.
    private static IPAddress? FindInForwardedFor(AddressLimits limits, ReadOnlySpan<byte> field)
    {
        while (!field.IsEmpty)
        {
            int comma = field.LastIndexOf((byte)',');
            ReadOnlySpan<byte> node = Grammar.TrimBlanks(field[(comma + 1)..]);
            field = field[..Math.Max(comma, 0)];

            // RFC 9110 section 5.6.1: "A recipient MUST parse and ignore a reasonable number of empty list elements".
            if (node.IsEmpty)
                continue;
            if (ForwardedNode.ReadAddress(node) is not { } address)
                return null;
            if (!limits.IsProxy(address))
                return address;
        }

        return null;
    }

    // From the beginning, since only so it is known what is quoted. One quote that a client left open would hide what its proxy wrote after
    // it, or shift what is taken for quoted: if anything is malformed, nothing is believed.
    private static IPAddress? FindInForwarded(AddressLimits limits, ReadOnlySpan<byte> field)
    {
        IPAddress? client = null;
        while (!field.IsEmpty)
        {
            if (!ForwardedField.TryCutElement(ref field, out ReadOnlySpan<byte> node, out bool isEmpty))
                return null;
            if (isEmpty)
                continue;

            // Unlike in X-Forwarded-For, an IPv6 address must have brackets. What is no address ("unknown", "_hidden") is no named proxy.
            IPAddress? address = node.StartsWith("["u8) || node.Count((byte)':') < 2 ? ForwardedNode.ReadAddress(node) : null;
            if (address is null || !limits.IsProxy(address))
                client = address;
        }

        return client;
    }
}
