namespace Moshpit.Server.Channels;

/// <summary>
/// Which peers of a channel get an event of its log: all, all but one, or one alone. An event to several peers has one for each.
/// </summary>
internal readonly record struct Audience
{
    /// <summary>0: all; n: the peer with the number n alone; −n: all but that.</summary>
    private readonly int _code;

    private Audience(int code) => _code = code;

    public static Audience All => default;

    /// <summary>The number of the one peer that gets it; 0: more than one may.</summary>
    public int Only => Math.Max(_code, 0);

    public static Audience Of(int number) => new(number);

    public static Audience AllBut(int number) => new(-number);

    /// <summary>
    /// Whether the peer with the number <paramref name="number"/> is among them. 0 stands for a peer that no event names.
    /// </summary>
    public bool Includes(int number) => _code <= 0 ? _code == 0 || _code != -number : _code == number;
}
