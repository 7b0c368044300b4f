using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Moshpit.Tests.Support;

/// <summary>Requests from a certain client.</summary>
internal static class Asking
{
    /// <summary>A field by which a named proxy names its client.</summary>
    public static string From(string address) => $"X-Forwarded-For: {address}\r\n";

    /// <summary>A request without a body.</summary>
    public static string Text(string method, string target, string fields = "") =>
        $"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n";

    /// <summary>One request over a connection of its own, which is answered and not a stream.</summary>
    public static async Task<RawResponse> AskAsync(this TestServer server, string method, string target, string fields = "")
    {
        using RawConnection connection = server.Connect();
        connection.Send(Text(method, target, fields));
        return await connection.ReadResponseAsync(head: method == "HEAD");
    }

    /// <summary>A POST in the name of <paramref name="peer"/> over a connection of its own.</summary>
    public static async Task<RawResponse> PostAsync(this TestServer server, RawPeer peer, string data, string fields = "")
    {
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + peer.Id, PostText.Body(peer.Token, data), PostText.Json + fields));
        return await connection.ReadResponseAsync();
    }

    /// <summary>A form with the token of <paramref name="peer"/> and <paramref name="fields"/>, over a connection of its own.</summary>
    public static async Task<RawResponse> PostFormAsync(this TestServer server, RawPeer peer, string fields)
    {
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength(
            "/" + peer.Id, $"token={peer.Token}&{fields}", "Content-Type: application/x-www-form-urlencoded\r\n"));
        return await connection.ReadResponseAsync();
    }

    /// <summary>It is a refusal that says when to come back, and in a sentence why.</summary>
    public static void IsRefusal(RawResponse response, int status, string sentence)
    {
        Assert.That(response.Status, Is.EqualTo(status), response.Body);
        Assert.That(response["Retry-After"], Does.Match("^[0-9]+$"));
        Assert.That(response.Body, Does.Contain(sentence).And.EndsWith(".\n"));
        Assert.That(response["Access-Control-Allow-Origin"], Is.EqualTo("*"), "a browser may read it");
    }

    /// <summary>
    /// An address of this machine that is not loopback, from which the server can be reached as from afar; the test is skipped where there
    /// is none.
    /// </summary>
    public static IPAddress OwnAddress()
    {
        IPAddress? address = NetworkInterface.GetAllNetworkInterfaces()
            .Where(network => network.OperationalStatus == OperationalStatus.Up)
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address));
        if (address is null)
            Assert.Ignore("This machine has no address but loopback.");
        return address!;
    }
}
