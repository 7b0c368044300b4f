using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Moshpit.Server;

/// <summary>A <see cref="Setting"/> with values of type <typeparamref name="T"/>.</summary>
internal sealed class Setting<T> : Setting
{
    /// <summary>Reads a value. False: it makes no sense.</summary>
    public delegate bool Reader(string text, [MaybeNullWhen(false)] out T value);

    /// <summary>It may be given more than once on the command line; its variable holds a list.</summary>
    public bool IsList { get; init; }

    public required Reader Read { get; init; }

    /// <summary>What a value must be in text, as the end of "it must be".</summary>
    public string? Kind { get; init; }

    /// <summary>Which values make sense, in text and in the property; null for all.</summary>
    public Func<T, bool>? Allows { get; init; }

    /// <summary>What a value must be in the property, as the end of "it must be".</summary>
    public string? Range { get; init; }

    /// <summary>Reads the property; null if there is none to check and no default to show.</summary>
    public Func<MoshpitServerOptions, T?>? Get { get; init; }

    /// <summary>Keeps a value; null if the command line does not have the option.</summary>
    public Action<CommandLine.Arguments, T>? Set { get; init; }

    /// <summary>What holds without it, if the property's value does not say it.</summary>
    public string? DefaultText { get; init; }

    /// <summary>Values of the variable that others than the operator set, and that are ignored: why. Null for none.</summary>
    public Func<string, string?>? WhyIgnored { get; init; }

    public override string? Default(MoshpitServerOptions defaults)
    {
        if (DefaultText is not null || Get is null)
            return DefaultText;
        return Get(defaults) switch
        {
            null => null,
            TimeSpan time => time.TotalSeconds.ToString(CultureInfo.InvariantCulture),
            T value => Convert.ToString(value, CultureInfo.InvariantCulture),
        };
    }

    public override Option CreateOption(MoshpitServerOptions defaults)
    {
        var option = new Option<T>(Name!)
        {
            Description = Default(defaults) is { } standard ? $"{Description} [default: {standard}]" : Description,
            HelpName = ValueName,
        };
        if (Alias is not null)
            option.Aliases.Add(Alias);
        if (ValueName is not null && !IsList)
            option.CustomParser = Parse;
        return option;
    }

    public override void Apply(Option option, ParseResult parsed, Func<string, string?> environment, CommandLine.Arguments arguments)
    {
        if (parsed.GetResult(option) is { Implicit: false })
        {
            Set!(arguments, parsed.GetValue((Option<T>)option)!);
            return;
        }

        string? text = environment(Variable!);
        if (string.IsNullOrEmpty(text))
            return;
        if (WhyIgnored?.Invoke(text) is { } why)
            arguments.Warnings.Add($"{Variable} is '{text}' and is ignored: {why}.");
        else if (TryRead(text, out T? value))
            Set!(arguments, value);
        else
            throw new ArgumentException($"{Refusal(Variable!, text)} {CommandLine.Hint}");
    }

    public override void Check(MoshpitServerOptions options)
    {
        if (Get is not null && Allows is not null && Get(options) is var value && !Allows(value!))
            throw new ArgumentException($"{Property} is {value}; it must be {Range}.");
    }

    private bool TryRead(string text, [MaybeNullWhen(false)] out T value) => Read(text, out value) && (Allows is null || Allows(value));

    private string Refusal(string name, string text) => $"{name} must be {Kind}, not '{text}'.";

    private T? Parse(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (TryRead(text, out T? value))
            return value;
        result.AddError(Refusal(Name!, text));
        return default;
    }
}
