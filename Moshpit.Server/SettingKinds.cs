using System.Globalization;
using System.Numerics;

namespace Moshpit.Server;

/// <summary>
/// The kinds of options that <see cref="MoshpitServerOptions"/> has. Each method declares one option, which is on the command line if it
/// has a name there. The bounds hold for a text and for the property alike.
/// </summary>
internal static class SettingKinds
{
    /// <summary>The most bytes that a limit takes, 1 PiB; no machine has as many.</summary>
    private const long MostBytes = 1L << 50;

    /// <summary>The clock and the kernel count in it.</summary>
    private static readonly TimeSpan ShortestTime = TimeSpan.FromMilliseconds(1);

    /// <summary>Timers take little more.</summary>
    private static readonly TimeSpan LongestTime = TimeSpan.FromDays(24);

    /// <summary>
    /// A whole number from <paramref name="least"/> (1 if it is null) to <paramref name="most"/> (what the type holds if it is null).
    /// </summary>
    /// <param name="property">The name of the property.</param>
    /// <param name="get">Reads the property.</param>
    /// <param name="set">Writes the property; needed for a <paramref name="name"/>.</param>
    /// <param name="name">The name on the command line, with the dashes.</param>
    /// <param name="valueName">What the value is called in the help.</param>
    /// <param name="description">What the option does, in the words of the help.</param>
    /// <param name="alias">A second name on the command line.</param>
    /// <param name="least">The least value.</param>
    /// <param name="most">The most.</param>
    /// <param name="zero">What 0 stands for, if 0 is allowed besides the range.</param>
    /// <param name="unlimited">Whether the type's largest value, which stands for no limit, is allowed besides the range.</param>
    /// <param name="standard">The default in words, if the property's value does not say it.</param>
    /// <param name="whyIgnored">Why a value of the variable is ignored; null for those that are not.</param>
    public static Setting<T> Whole<T>(
        string property, Func<MoshpitServerOptions, T> get, Action<MoshpitServerOptions, T>? set = null, string? name = null,
        string? valueName = null, string? description = null, string? alias = null, T? least = null, T? most = null, string? zero = null,
        bool unlimited = false, string? standard = null, Func<string, string?>? whyIgnored = null)
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T>
    {
        (T first, T last) = (least ?? T.One, most ?? T.MaxValue);
        string kind = OrZero(zero, $"a whole number from {first} to {last}");
        return new()
        {
            Property = property, Name = name, ValueName = valueName, Description = description, Alias = alias,
            Get = get, Set = To(set), DefaultText = standard, WhyIgnored = whyIgnored,
            Kind = kind, Range = unlimited ? kind + ", or MaxValue for no limit" : kind,
            Read = static (text, out value) => T.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value),
            Allows = value => (value >= first && value <= last)
                || (zero is not null && T.IsZero(value))
                || (unlimited && value == T.MaxValue),
        };
    }

    /// <summary>A limit of bytes: from 1 to 1 PiB, or <see cref="long.MaxValue"/> for no limit.</summary>
    public static Setting<long> Bytes(
        string property, Func<MoshpitServerOptions, long> get, Action<MoshpitServerOptions, long>? set = null, string? name = null,
        string? description = null, string? standard = null) =>
        Whole(property, get, set, name, "BYTES", description, most: MostBytes, unlimited: true, standard: standard);

    /// <summary>A time from 1 ms to 24 days; its text is in seconds.</summary>
    public static Setting<TimeSpan> Time(
        string property, Func<MoshpitServerOptions, TimeSpan> get, Action<MoshpitServerOptions, TimeSpan>? set = null, string? name = null,
        string? description = null, string? zero = null) => new()
    {
        Property = property, Name = name, ValueName = "SECONDS", Description = description, Get = get, Set = To(set),
        Kind = OrZero(zero, string.Create(
            CultureInfo.InvariantCulture, $"a number of seconds from {ShortestTime.TotalSeconds} to {LongestTime.TotalSeconds}")),
        Range = OrZero(zero, $"a time from {ShortestTime.Milliseconds} ms to {LongestTime.Days} days"),
        Read = TryReadSeconds,
        Allows = value => (value >= ShortestTime && value <= LongestTime) || (zero is not null && value == TimeSpan.Zero),
    };

    /// <summary>A text that is not checked here.</summary>
    public static Setting<string> Text(
        string property, Func<MoshpitServerOptions, string?> get, Action<MoshpitServerOptions, string> set, string name, string valueName,
        string description, string? alias = null, string? standard = null) => new()
    {
        Property = property, Name = name, ValueName = valueName, Description = description, Alias = alias,
        Get = get, Set = To(set), DefaultText = standard, Read = TryReadText,
    };

    /// <summary>Texts that are not checked here: the option may be repeated, and commas separate them in the variable.</summary>
    public static Setting<string[]> List(
        string property, Action<MoshpitServerOptions, string[]> set, string name, string valueName, string description) => new()
    {
        Property = property, Name = name, ValueName = valueName, Description = description, IsList = true,
        Set = To(set), Read = TryReadList,
    };

    /// <summary>Reads any text.</summary>
    public static bool TryReadText(string text, out string value)
    {
        value = text;
        return true;
    }

    private static Action<CommandLine.Arguments, T>? To<T>(Action<MoshpitServerOptions, T>? set) =>
        set is null ? null : (arguments, value) => set(arguments.Options, value);

    private static string OrZero(string? zero, string range) => zero is null ? range : $"0 for {zero}, or {range}";

    private static bool TryReadSeconds(string text, out TimeSpan value)
    {
        bool isTime = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds)
            && seconds <= LongestTime.TotalSeconds;
        value = isTime ? TimeSpan.FromSeconds(seconds) : default;
        return isTime;
    }

    private static bool TryReadList(string text, out string[] items)
    {
        items = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return true;
    }
}
