namespace Moshpit.Tests.Client;

/// <summary>Tests that have a <see cref="RawServer"/> each.</summary>
[Parallelizable]
public abstract class RawServerTests
{
    private protected RawServer Server { get; private set; } = null!;

    [SetUp]
    public void Listen() => Server = new RawServer();

    [TearDown]
    public void Close() => Server.Dispose();

    /// <summary>A new peer of the server, which is not connected yet.</summary>
    private protected MoshpitPeer Open(MoshpitClientOptions? options = null, MoshpitPeerOptions? own = null) =>
        new MoshpitClient(Server.Url, options).Open(own ?? new());
}
